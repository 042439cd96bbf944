import { expect, test } from "vitest";
import { privateMb } from "./vms.ts";

test("only memory that is the process's own counts", () => {
  const rollup = `55f0-7ffd ---p 00000000 00:00 0    [rollup]
Rss:              204800 kB
Shared_Clean:     163840 kB
Private_Clean:      1024 kB
Private_Dirty:     39936 kB
`;
  expect(privateMb(rollup)).toBe(40);
});
