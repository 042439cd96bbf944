/**
 * Measures what the API's surfaces cost: REST beside gRPC, lists, commands in machines, acquires
 * whose first step fails, and connections that wait.
 *
 * `npm run bench -- api [--runs N] [--only rest,lists,acquire,idle,exec] [--readme]`
 */
import { measureAcquires } from "./api/acquires.ts";
import { measureExec } from "./api/exec.ts";
import { measureIdle } from "./api/idle.ts";
import { measureLists } from "./api/lists.ts";
import { measureRest } from "./api/rest.ts";
import { benchmark } from "./lib/benchmark.ts";
import { BenchFleet } from "./lib/fleet.ts";

const HOSTS = 2;
/** One organisation has all that waits. */
const ENVIRONMENT = { API_STREAMS_PER_ORG: "4096" };
/** The parts that need no virtual machine. */
const SIMULATED = { idle: measureIdle, rest: measureRest, acquire: measureAcquires, lists: measureLists };

await benchmark(
  {
    name: "api",
    title: "The API's surfaces",
    defaultRuns: 300,
    parts: [...Object.keys(SIMULATED), "exec"],
    targets: {
      rest_adds: { p50: 2 },
      list_first_page: { p50: 50 },
      exec_true: { p50: 60 },
      acquire_adds: { p50: 10 },
      idle_memory: { p50: 300 },
    },
  },
  async (run) => {
    const { report, folder, signal, parts } = run;
    const simulated = Object.entries(SIMULATED).filter(([name]) => parts.includes(name));
    if (simulated.length > 0) {
      const open = () =>
        BenchFleet.start({ hosts: HOSTS, vmm: "sim", environment: ENVIRONMENT }, folder, false, signal);
      await run.with("a fleet", open, async (fleet) => {
        report.vmm = await fleet.vmm();
        for (const [, measure] of simulated) await measure(fleet, run);
      });
    }
    if (!parts.includes("exec")) return;
    const open = () => BenchFleet.start({ hosts: 1, vmm: "real" }, folder, false, signal);
    await run.with("a fleet with virtual machines", open, async (fleet) => {
      report.vmm = await fleet.vmm();
      await measureExec(fleet, run);
    });
  },
);
