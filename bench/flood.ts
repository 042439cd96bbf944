/**
 * Measures what a stranger takes who floods every port of a fleet with calls and connections: the memory of each
 * service, and what becomes of the calls of others.
 *
 * `npm run bench -- flood [--runs N] [--readme]`
 */
import { call } from "../src/lib/grpc/client.ts";
import { residentMib } from "../test/support/net/flood.ts";
import type { StrangerFunctions } from "./flood/stranger.ts";
import { benchmark, type Run } from "./lib/benchmark.ts";
import { Child } from "./lib/child.ts";
import { BenchFleet } from "./lib/fleet.ts";

const FLOOD_MS = 60_000;
const SAMPLE_MS = 250;
const TIMEOUT_MS = 30_000;
const PARTS = ["api", "scheduler", "hostd-1", "imagecache-1", "traces"] as const;
/** MiB that a service may grow by. */
const GROWTH = { p99: 64 };

await benchmark(
  {
    name: "flood",
    title: "A stranger floods every port for a minute",
    defaultRuns: 200,
    targets: Object.fromEntries(PARTS.map((part) => [growthOf(part), GROWTH])),
  },
  (run) =>
    run.with(
      "a fleet",
      () => BenchFleet.start({ hosts: 1, vmm: "sim" }, run.folder, false, run.signal),
      (fleet) => measure(fleet, run),
    ),
);

async function measure(fleet: BenchFleet, run: Run): Promise<void> {
  const { report } = run;
  report.vmm = await fleet.vmm();
  report.note("one host; its VMs are simulated and take no time");
  const { id } = await fleet.create();
  // As long as the flood: what the services' heaps grow by with calls is no stranger's doing.
  const quiet = await timesOf(fleet, id, run, "quiet calls", forMs(FLOOD_MS));
  const before = new Map(PARTS.map((part) => [part, memoryOf(fleet, part)]));
  await using stranger = new Child<StrangerFunctions>(new URL("./flood/stranger.ts", import.meta.url));
  void stranger.functions.flood(grpcPorts(fleet), httpPorts(fleet)).catch(() => {});
  const growth = new Map(PARTS.map((part) => [part, [] as number[]]));
  const sampling = setInterval(() => {
    for (const part of PARTS) growth.get(part)?.push(memoryOf(fleet, part) - (before.get(part) ?? 0));
  }, SAMPLE_MS);
  const flooded = await timesOf(fleet, id, run, "calls beside a flood", forMs(FLOOD_MS));
  clearInterval(sampling);
  for (const part of PARTS) report.add(growthOf(part), "MiB", growth.get(part) ?? []);
  report.addTimes({
    ...{ start_quiet: quiet.starts, start_flooded: flooded.starts },
    ...{ list_quiet: quiet.lists, list_flooded: flooded.lists },
  });
  report.note(
    "the stranger competes for the same processors: its process has a lower priority, its packets do not",
  );
}

/** Starts a machine and lists apps in turn: at least as often as the run says, and while `goesOn`. */
async function timesOf(fleet: BenchFleet, id: string, run: Run, name: string, goesOn: () => boolean) {
  const { apps } = fleet.clients.raw;
  const times = { starts: [] as number[], lists: [] as number[] };
  const timed = async (into: number[], work: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await work();
    into.push(performance.now() - startedAt);
  };
  await run.progress.step(name, async () => {
    for (let i = 0; i < run.runs || goesOn(); i += 1) {
      run.signal.throwIfAborted();
      await timed(times.starts, () => fleet.clients.start(id));
      await fleet.clients.stop(id);
      await timed(times.lists, () =>
        call(apps, apps.listApps, { pageSize: 10, pageToken: "" }, { timeoutMs: TIMEOUT_MS }),
      );
    }
  });
  return times;
}

/** Returns whether the time, which begins now, is not over. */
function forMs(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() < endMs;
}

function growthOf(part: string): string {
  return `${part.replace(/-\d+$/, "")}_growth`;
}

function memoryOf({ services }: BenchFleet, part: string): number {
  return residentMib(services.pid(part) ?? 0);
}

function grpcPorts({ services }: BenchFleet) {
  const [region] = services.regions;
  const [host] = services.hosts;
  return [
    { address: region?.api, method: "/windhover.machines.v1.AppsService/ListApps" },
    {
      address: region?.schedulers[0]?.address,
      method: "/windhover.scheduler.v1.SchedulerService/ListHosts",
    },
    { address: host?.hostd, method: "/windhover.hostd.v1.HostService/ListMachines" },
    { address: host?.imagecache, method: "/windhover.imagecache.v1.ImageCacheService/ListImages" },
  ].flatMap(({ address, method }) => (address === undefined ? [] : [{ address, method }]));
}

function httpPorts({ services }: BenchFleet): readonly string[] {
  const [region] = services.regions;
  const [host] = services.hosts;
  const metrics = [region?.apiMetrics, region?.schedulers[0]?.metrics, host?.hostdMetrics];
  const all = [...metrics, host?.imagecacheMetrics, services.traces.replace("http://", "")];
  return all.filter((each) => each !== undefined);
}
