import { describe } from "vitest";
import { testKills } from "./kill-at-steps.ts";
import { CHANGES } from "./kill-operations.ts";

// What a new version has in common with a start and a stop is not done twice. What is left over is looked at last.
describe("kill -9 at every step of a change", { shuffle: false }, () => {
  testKills(CHANGES);
});
