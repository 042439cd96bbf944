import { defineConfig } from "vitest/config";

/** `npm run test:clients`: tests that need Go or the network. */
export default defineConfig({
  test: {
    include: ["test/clients/{fly,go,reference}/**/*.test.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 40_000, interval: 20 }, requireAssertions: true },
  },
});
