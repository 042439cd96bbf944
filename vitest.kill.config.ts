import { defineConfig } from "vitest/config";

/**
 * `npm run test:kill`: services killed at every step they make, and stores taken away under traffic. Some three and a half minutes, and hundreds of restarts that
 * want the machine to themselves, so they are not part of `npm test`, which kills at random moments and takes the same stores away once each.
 */
export default defineConfig({
  test: {
    include: ["test/system/kill-steps.test.ts", "test/system/stores.test.ts"],
    environment: "node",
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
