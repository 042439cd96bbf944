import type { Random } from "./random.ts";
import type { Begun, TraceWriter } from "./trace.ts";

/** One start as it will have been. */
export interface StartPlan {
  readonly path: "resume" | "snapshot" | "warm" | "template" | "cold";
  readonly notFaster: string;
  readonly host: string;
  readonly region: string;
  readonly image: string;
  readonly app: string;
  readonly org: string;
  readonly size: string;
  readonly version: string;
  readonly machineId: string;
  readonly queueLength: number;
  readonly concurrency: number;
  readonly poolSize: number;
  /** Microseconds that the disk takes longer than usual. */
  readonly diskUs: number;
  /** Times in which the guest's exec takes what it usually does. */
  readonly execFactor: number;
  /** Empty: it succeeds. */
  readonly reason: string;
}

const HOST_START = "windhover.hostd.v1.HostService/StartMachine";
const API_START = "windhover.machines.v1.MachinesService/StartMachine";

/** Writes a start through the api. Returns when it ended. */
export function writeStart(
  trace: TraceWriter,
  random: Random,
  startUs: number,
  plan: StartPlan,
  parent?: Begun,
): number {
  const served = trace.begin(startUs);
  const api = trace.begin(startUs + random.around(420));
  const call = trace.begin(api.startUs + random.around(350));
  const endUs = writeOnHost(trace, random, call.startUs + random.around(500), plan, call);
  const callEnd = endUs + random.around(450);
  const failure = plan.reason === "" ? {} : { reason: plan.reason };
  trace.end(call, api, "api", HOST_START, callEnd, {
    kind: "client",
    attributes: { "windhover.host.name": plan.host },
    ...failure,
  });
  trace.end(api, served, "api", "api.start", callEnd + 60, failure);
  const attributes = { "windhover.org": plan.org, "windhover.region": plan.region };
  const servedEnd = callEnd + 60 + random.around(180);
  trace.end(served, parent, "api", API_START, servedEnd, { kind: "server", attributes, ...failure });
  return servedEnd;
}

/** Writes what the host does for a start. */
export function writeOnHost(
  trace: TraceWriter,
  random: Random,
  startUs: number,
  plan: StartPlan,
  parent: Begun,
): number {
  const failure = plan.reason === "" ? {} : { reason: plan.reason };
  const hosted = trace.begin(startUs);
  const start = trace.begin(startUs + 80);
  let now = start.startUs + 120;
  const admit = trace.begin(now);
  const waited = plan.queueLength === 0 ? random.around(60) : plan.queueLength * random.around(9_000);
  now = trace.span(admit, "hostd", "hostd.start_queue", now + 100, waited, {
    attributes: { "windhover.start.queue_length": plan.queueLength },
  });
  now += random.around(250);
  trace.end(admit, start, "hostd", "hostd.admit", now);
  trace.span(start, "hostd", "hostd.store", now, random.around(1_400));
  const acquire = trace.begin(now + 40);
  now = bringUp(trace, random, acquire, acquire.startUs, plan);
  now += 90;
  trace.end(acquire, start, "hostd", "hostd.acquire", now, failure);
  now += random.around(300);
  trace.end(start, hosted, "hostd", "hostd.start", now, {
    attributes: {
      "windhover.machine.id": plan.machineId,
      "windhover.app": plan.app,
      "windhover.image.reference": plan.image,
      "windhover.machine.size": plan.size,
      "windhover.start.path": plan.path,
      ...(plan.notFaster === "" ? {} : { "windhover.start.not_faster": plan.notFaster }),
      "windhover.operation.concurrency": plan.concurrency,
      ...(plan.poolSize < 0 ? {} : { "windhover.pool.size": plan.poolSize }),
    },
    ...failure,
  });
  trace.end(hosted, parent, "hostd", HOST_START, now + 60, {
    kind: "server",
    version: plan.version,
    ...failure,
  });
  return now + 60;
}

/** Medians of the parts of each start path, in microseconds. */
const PARTS = {
  resume: { restore: 14_000, swap: 2_400, resume: 1_900, boot: 0, exec: 0 },
  snapshot: { restore: 21_000, swap: 3_200, resume: 2_100, boot: 0, exec: 0 },
  warm: { restore: 0, swap: 4_200, resume: 1_700, boot: 0, exec: 26_000 },
  template: { restore: 74_000, swap: 5_500, resume: 2_400, boot: 0, exec: 29_000 },
  cold: { restore: 0, swap: 0, resume: 0, boot: 610_000, exec: 34_000 },
} as const;

function bringUp(
  trace: TraceWriter,
  random: Random,
  acquire: Begun,
  startUs: number,
  plan: StartPlan,
): number {
  const parts = PARTS[plan.path];
  let now = startUs + 30;
  const step = (name: string, service: string, us: number, attributes = {}) => {
    if (us > 0) now = trace.span(acquire, service, name, now, us, { attributes });
  };
  if (plan.path === "warm") step("vmm.claim", "hostd", random.around(240));
  if (plan.path === "cold" || plan.path === "template") {
    step("vmm.prepare", "hostd", random.around(3_100));
    step("vmm.spawn", "hostd", random.around(22_000));
  }
  if (parts.restore > 0) step("vmm.restore", "hostd", random.around(parts.restore, 0.35));
  if (parts.swap > 0) step("vmm.swap", "hostd", random.around(parts.swap, 0.4) + plan.diskUs);
  if (parts.resume > 0) step("vmm.resume", "hostd", random.around(parts.resume));
  if (parts.boot > 0) {
    step("guest.boot", "hostd", random.around(parts.boot));
    step("guest.modules", "hostd", random.around(38_000));
    step("guest.disk", "hostd", random.around(41_000) + plan.diskUs);
    step("guest.mount", "hostd", random.around(12_000));
  }
  if (plan.reason !== "" && plan.reason !== "EXEC_FAILED") return now + random.around(4_000);
  const exec = parts.exec === 0 ? 3_000 : parts.exec;
  step("guest.exec", "hostd", random.around(exec * plan.execFactor, 0.3), {
    "process.executable.path": "/usr/bin/app",
  });
  return now;
}
