import { defineConfig } from "vitest/config";

const node = { environment: "node" as const, globals: false };

export default defineConfig({
  test: {
    projects: [
      { test: { ...node, name: "unit", include: ["src/**/*.test.ts", "otel/**/*.test.ts", "scripts/**/*.test.ts"], testTimeout: 5_000 } },
      { test: { ...node, name: "contract", include: ["test/contract/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000 } },
      { test: { ...node, name: "system", include: ["test/system/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false } },
      { test: { ...node, name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 300_000, fileParallelism: false } },
    ],
  },
});
