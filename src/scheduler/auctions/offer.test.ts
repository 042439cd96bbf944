import { expect, test } from "vitest";
import { closer, declineReason, fits } from "./offer.ts";

const NEEDED = { cpus: 2, memoryMb: 512, diskMb: 1_000 };

test("fits only when there is enough of everything", () => {
  expect(fits(NEEDED, NEEDED)).toBe(true);
  for (const key of ["cpus", "memoryMb", "diskMb"] as const) {
    expect(fits(NEEDED, { ...NEEDED, [key]: NEEDED[key] - 1 })).toBe(false);
  }
});

const SHORT_OF: [string, typeof NEEDED, typeof NEEDED][] = [
  ["more of its scarcest resource", { ...NEEDED, memoryMb: 256 }, { ...NEEDED, diskMb: 250 }],
  [
    "more of all when the scarcest is equal",
    { ...NEEDED, memoryMb: 256 },
    { ...NEEDED, cpus: 1, diskMb: 500 },
  ],
  ["more memory when all else is equal", { ...NEEDED, cpus: 1 }, { ...NEEDED, cpus: 1, memoryMb: 511 }],
];
test.each(SHORT_OF)("closer is the host with %s, in whatever order they come", (_, near, far) => {
  expect(closer(NEEDED, near, far)).toBe(near);
  expect(closer(NEEDED, far, near)).toBe(near);
});

test("what is not needed is not scarce", () => {
  const needed = { ...NEEDED, diskMb: 0 };
  const near = { cpus: 2, memoryMb: 500, diskMb: 0 };

  expect(closer(needed, near, { cpus: 2, memoryMb: 400, diskMb: 9_000 })).toBe(near);
});

test("an unknown reason counts as other, so that a host cannot add metrics", () => {
  expect(declineReason("no_disk")).toBe("no_disk");
  expect(declineReason("silent")).toBe("other");
  expect(declineReason("moon_phase")).toBe("other");
});
