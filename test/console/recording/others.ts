import type { Random } from "./random.ts";
import { type StartPlan, writeOnHost, writeStart } from "./start.ts";
import type { TraceWriter } from "./trace.ts";

const CREATE = "windhover.machines.v1.MachinesService/CreateMachine";
const STOP = "windhover.machines.v1.MachinesService/StopMachine";

/** Writes a create, which starts its machine at the end. */
export function writeCreate(trace: TraceWriter, random: Random, startUs: number, plan: StartPlan): void {
  const served = trace.begin(startUs);
  const create = trace.begin(startUs + 400);
  let now = trace.span(create, "api", "api.preflight", create.startUs + 50, random.around(6_000));
  const saga = trace.begin(now + 40);
  const step = (name: string, us: number, then?: (from: number) => number) => {
    const begun = trace.begin(now + 60);
    now = then ? then(begun.startUs) : begun.startUs + us;
    trace.end(begun, saga, "api", name, now);
  };
  step("saga.create.resolve", random.around(9_000));
  step("saga.create.reserve", random.around(21_000));
  step("saga.create.award", random.around(14_000));
  const pull = random.chance(0.4) ? random.around(900_000, 0.6) : random.around(5_000);
  const prepare = trace.begin(now + 60);
  now = trace.span(prepare, "imagecache", "imagecache.pull", prepare.startUs + 300, pull);
  now += 400;
  trace.end(prepare, saga, "api", "saga.create.prepare", now);
  step("saga.create.commit", random.around(7_000));
  const launch = trace.begin(now + 60);
  now = writeOnHost(trace, random, launch.startUs + 300, { ...plan, path: "template" }, launch);
  now += 100;
  trace.end(launch, saga, "api", "saga.create.launch", now);
  now += 80;
  trace.end(saga, create, "api", "saga.create", now);
  now += 50;
  trace.end(create, served, "api", "api.create", now, { attributes: { "windhover.org": plan.org } });
  trace.end(served, undefined, "api", CREATE, now + 200, { kind: "server" });
}

/** Writes a wake: a request waits, its machine starts, gets ready, and answers. */
export function writeWake(trace: TraceWriter, random: Random, startUs: number, plan: StartPlan): void {
  const wake = trace.begin(startUs);
  let now = trace.span(wake, "proxy", "proxy.queue", startUs + 60, random.around(900, 0.6));
  const start = trace.begin(now + 50);
  now = writeStart(trace, random, start.startUs + 100, plan, start);
  now += 120;
  trace.end(start, wake, "proxy", "proxy.start", now);
  now = trace.span(wake, "proxy", "proxy.readiness", now + 30, random.around(11_000, 0.5));
  now = trace.span(wake, "proxy", "proxy.application", now + 30, random.around(17_000, 0.5), {
    kind: "client",
  });
  trace.end(wake, undefined, "proxy", "proxy.wake", now + 90, { attributes: { "windhover.app": plan.app } });
}

/** Writes a stop: the program ends itself, or is killed. */
export function writeStop(trace: TraceWriter, random: Random, startUs: number, plan: StartPlan): void {
  const served = trace.begin(startUs);
  const stop = trace.begin(startUs + 900);
  let now = trace.span(stop, "hostd", "hostd.stop.grace", stop.startUs + 100, random.around(23_000, 0.5));
  now = trace.span(stop, "hostd", "hostd.remove_vm", now + 40, random.around(9_000));
  now += 60;
  trace.end(stop, served, "hostd", "hostd.stop", now, {
    attributes: {
      "windhover.machine.id": plan.machineId,
      "windhover.app": plan.app,
      "windhover.host.name": plan.host,
    },
    version: plan.version,
  });
  trace.end(served, undefined, "api", STOP, now + 500, {
    kind: "server",
    attributes: { "windhover.org": plan.org, "windhover.region": plan.region },
  });
}
