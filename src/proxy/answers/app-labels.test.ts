import { expect, test } from "vitest";
import { AppLabels } from "./app-labels.ts";

test("an organisation with many apps leaves others labels, and all keep theirs", () => {
  const labels = new AppLabels({ total: 4, perOrg: 2 });

  const ofOne = ["a1", "a2", "a3"].map((app) => labels.of(app, "acme"));
  const ofOthers = [labels.of("b1", "beta"), labels.of("c1", "corp"), labels.of("d1", "duo")];

  expect(ofOne).toEqual(["a1", "a2", "_other"]);
  expect(ofOthers).toEqual(["b1", "c1", "_other"]);
  expect(labels.of("a1", "acme")).toBe("a1");
  expect(labels.of("", "")).toBe("_none");
});
