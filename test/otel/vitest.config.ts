import { defineConfig } from "vitest/config";

/** `npm run test:otel`: tests that build the collector and Jaeger with Go. */
export default defineConfig({
  test: {
    include: ["test/otel/**/*.test.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 1_800_000,
    expect: { poll: { timeout: 60_000, interval: 100 }, requireAssertions: true },
  },
});
