import { expect, test } from "vitest";
import { lengthOfPart, type Pin } from "./imagecache-client.ts";

const pin = (owner: string): Pin => ({ digest: "sha256:a", owner, org: "acme" });

test("the pins of a machine that is being updated go into one part, as a part is a range of machines", () => {
  const pins = ["1", "2", "2", "3"].map(pin);

  const lengths = [40, 60, 90, 1_000].map((maxBytes) => lengthOfPart(pins, maxBytes));

  expect(lengths).toEqual([1, 1, 3, 4]);
});
