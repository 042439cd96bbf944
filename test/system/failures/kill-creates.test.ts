import { describe } from "vitest";
import { testKills } from "./kill-at-steps.ts";
import { CREATES } from "./kill-operations.ts";

// What an undone create has in common with a create is not done twice. What is left over is looked at last.
describe("kill -9 at every step of a create", { shuffle: false }, () => {
  testKills(CREATES);
});
