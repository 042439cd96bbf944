import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

// Tests need the project's Node; `vitest` itself starts with whatever Node the shell has.
const isStartedAsCommand = /^vitest(\.mjs)?$/.test(basename(process.argv[1] ?? ""));
if (isStartedAsCommand && Number.parseInt(process.versions.node, 10) < 24) await continueWithOwnNode();

/** Runs the same command with `node_modules/.bin/node` and ends as it does. */
function continueWithOwnNode(): Promise<never> {
  const own = join(import.meta.dirname, "node_modules/.bin/node");
  const child = spawn(own, process.argv.slice(1), { stdio: "inherit" });
  // Ctrl-C reaches the child through the terminal.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => process.exit(code ?? 1));
  });
}

/** Files at a time. Tests wait as much as they compute, so there are more than processors. */
const WORKERS = Number(process.env["TEST_WORKERS"] ?? Math.ceil(1.5 * availableParallelism()));

/** One kind of test. Kinds run one after the other in the order given, so that slow ones do not disturb each other's clocks. */
function project(
  groupOrder: number,
  name: string,
  include: string[],
  limits: {
    testTimeout: number;
    hookTimeout?: number;
    fileParallelism?: boolean;
    maxWorkers?: number;
    isolate?: boolean;
    globalSetup?: string[];
    exclude?: string[];
  },
): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include,
      environment: "node",
      // Processes, not threads: what a test starts is told by the kernel when the process that started it is gone.
      pool: "forks",
      sequence: { groupOrder },
      env: { NODE_COMPILE_CACHE: COMPILED },
      ...limits,
    },
  };
}

/** What one process has compiled the next need not: services come up in half the time, and there are hundreds of them. */
const COMPILED = join(import.meta.dirname, ".windhover/compiled");
/** Tests of whole processes that lie beside what they test. */
const system = "**/*.system.test.ts";
/** Unit tests of what a process has only one of: tracer, registry of metrics, signals. Each file in a process of its own. */
const global = [
  "otel/**/*.test.ts",
  "src/lib/*/{tracing,saga,metrics,telemetry,lifecycle,log}*.test.ts",
  "src/hostd/telemetry/pool-metrics.test.ts",
];
/** Tests that run what a document says, on the ports that it names: one at a time. */
const documents = ["test/e2e/fleet/{readme,tutorial-faas}.test.ts"];
const postgres = ["test/support/servers/global-postgres.ts"];

export default defineConfig({
  test: {
    // A condition may be long in coming on a loaded machine. Only a poll that fails takes this long, and a test may
    // have several: its own limit is for what hangs.
    expect: { poll: { timeout: 40_000, interval: 20 }, requireAssertions: true },
    projects: [
      project(
        0,
        "unit",
        [
          "src/**/*.test.ts",
          "otel/**/*.test.ts",
          "{dev,tools,guest}/**/*.test.ts",
          "clients/*/src/**/*.test.ts",
          "examples/*/test/**/*.test.ts",
          "bench/**/*.test.ts",
          "test/fuzz/**/*.test.ts",
        ],
        {
          testTimeout: 120_000,
          exclude: [system, ...global],
          // They share a process and what it has loaded: half the time of a process for each.
          isolate: false,
          maxWorkers: WORKERS,
        },
      ),
      project(0, "unit-global", global, { testTimeout: 120_000, maxWorkers: WORKERS }),
      // By itself: it takes a core for each of its files, and others have clocks that would suffer.
      project(1, "sim", ["test/sim/**/*.test.ts"], { testTimeout: 240_000 }),
      project(2, "contract", ["test/contract/**/*.test.ts", "test/support/**/*.test.ts"], {
        testTimeout: 120_000,
        hookTimeout: 120_000,
        maxWorkers: WORKERS,
        globalSetup: postgres,
        exclude: [system],
      }),
      project(
        3,
        "system",
        [
          "test/system/**/*.test.ts",
          "test/console/**/*.test.ts",
          "dev/**/*.system.test.ts",
          "test/support/**/*.system.test.ts",
          "test/clients/{typescript,python}/**/*.test.ts",
        ],
        {
          testTimeout: 240_000,
          hookTimeout: 240_000,
          globalSetup: ["test/console/world/global-page.ts"],
          // A fleet each, whose processes have more to do.
          maxWorkers: Math.max(3, WORKERS - 2),
        },
      ),
      project(4, "e2e", ["test/e2e/**/*.test.ts"], {
        ...{ testTimeout: 300_000, hookTimeout: 300_000, exclude: documents },
        // An emulated VM takes a core, and much of a test waits.
        maxWorkers: 2,
      }),
      project(5, "e2e-documents", documents, {
        ...{ testTimeout: 300_000, hookTimeout: 300_000, fileParallelism: false },
      }),
    ],
  },
});
