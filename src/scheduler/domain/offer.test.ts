import { expect, test } from "vitest";
import { declineReason, fits, shareOf } from "./offer.ts";

const NEEDED = { cpus: 2, memoryMb: 512, diskMb: 1_000 };

test("fits only when there is enough of everything", () => {
  expect(fits(NEEDED, NEEDED)).toBe(true);
  for (const key of ["cpus", "memoryMb", "diskMb"] as const) {
    expect(fits(NEEDED, { ...NEEDED, [key]: NEEDED[key] - 1 })).toBe(false);
  }
});

test("the share is that of the scarcest resource", () => {
  expect(shareOf(NEEDED, { cpus: 8, memoryMb: 128, diskMb: 4_000 })).toBe(0.25);
});

test("what is not needed is not scarce", () => {
  expect(shareOf({ ...NEEDED, diskMb: 0 }, { cpus: 2, memoryMb: 512, diskMb: 0 })).toBe(1);
});

test("a reason nobody knows counts as other, so that a host cannot make up metrics", () => {
  expect(declineReason("no_disk")).toBe("no_disk");
  expect(declineReason("silent")).toBe("other");
  expect(declineReason("moon_phase")).toBe("other");
});
