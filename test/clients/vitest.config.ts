import { defineConfig } from "vitest/config";

/** `npm run test:clients`: what needs Go, or a client that npm installs for it alone. */
export default defineConfig({
  test: {
    include: ["test/clients/{fly,go}/**/*.test.ts"],
    environment: "node",
    pool: "forks",
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 15_000, interval: 20 }, requireAssertions: true },
  },
});
