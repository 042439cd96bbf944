/** Makes load in a process of its own, so that its work is not the benchmark's. Started by `load-process.ts`, told what to do over IPC. */
import { StartMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { clientsOf, configOf } from "../../test/support/clients.ts";
import { concurrently } from "../lib/concurrently.ts";
import type { LoadJob, LoadOutcome, LoadSettings } from "./load-job.ts";

const TIMEOUT_MS = 60_000;
/** The process is not watched after its exec: that would be no work of the control plane. */
const AT_ONCE = { seconds: 0n, nanos: 0 };

// Only `load-process.ts` starts this file, with exactly that.
const settings = JSON.parse(process.argv[2] ?? "") as LoadSettings;
const clients = clientsOf(settings.api, settings.token);

process.on("message", (job: LoadJob) => {
  void run(job).then(
    (outcome) => process.send?.(outcome),
    (cause: unknown) =>
      process.send?.({ ok: false, error: cause instanceof Error ? `${cause.stack}` : String(cause) }),
  );
});
process.on("disconnect", () => clients.close());

async function run(job: LoadJob): Promise<LoadOutcome> {
  const ids: string[] = [];
  const ms: number[] = [];
  const items: readonly string[] = job.kind === "create" ? Array<string>(job.count).fill("") : job.ids;
  const beganAt = performance.now();
  await concurrently(items, job.atOnce, async (id) => {
    const at = performance.now();
    if (job.kind === "create") ids.push(await create());
    else await OPERATIONS[job.kind](id);
    ms.push(performance.now() - at);
  });
  return { ok: true, ms, wallMs: performance.now() - beganAt, ids };
}

const OPERATIONS = {
  start: (machineId: string) => {
    const request = StartMachineRequest.fromPartial({ machineId, watch: AT_ONCE });
    const { machines } = clients.raw;
    return call(machines, machines.startMachine, request, { timeoutMs: TIMEOUT_MS });
  },
  stop: (id: string) => clients.stop(id),
  destroy: (id: string) => clients.destroy(id, true),
};

async function create(): Promise<string> {
  const config = configOf(settings.image);
  return (await clients.create({ app: settings.app, config, skipLaunch: true }, TIMEOUT_MS)).id;
}
