import type { HostServiceServer } from "../gen/windhover/hostd/v1/hostd.ts";
import type { Revocations } from "../lib/auth/revocations.ts";
import { requireGoodStanding } from "../lib/auth/rpc-rules.ts";
import { Fault, invalid } from "../lib/faults/fault.ts";
import { untilDraining } from "../lib/grpc/draining.ts";
import { betweenTimes } from "../lib/grpc/observed/handler-times.ts";
import { Concurrency } from "../lib/limits/concurrency.ts";
import { Paces } from "../lib/limits/paces.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import type { SchedulingFile } from "./availability/scheduling-file.ts";
import type { Hold } from "./capacity/holds.ts";
import type { Ledger } from "./capacity/ledger.ts";
import type { Checks } from "./checks/checks.ts";
import {
  type HostIdentity,
  holdToProto,
  hostInfoToProto,
  type StatusParts,
  schedulingFromProto,
  schedulingToProto,
  statusToProto,
} from "./convert-host.ts";
import { listToProto } from "./convert-list.ts";
import { leaseToProto, lineToProto, machineToProto, stateToProto } from "./convert-machine.ts";
import {
  awardFromProto,
  callerFromProto,
  logsFromProto,
  stopRequestFromProto,
  suspendFromProto,
  waitFromProto,
  watchFromProto,
} from "./convert-request.ts";
import { execService } from "./exec/service-exec.ts";
import type { StoredLine } from "./logs/line-format.ts";
import type { LogStore } from "./logs/log-store.ts";
import { heldLease } from "./machines/lease.ts";
import { type Machine, machineId, withNewestEvents } from "./machines/machine.ts";
import type { Machines } from "./operations/machines.ts";
import type { Proxies } from "./proxies/proxies.ts";
import { attachProxies } from "./proxies/service-proxies.ts";
import { internal, internalStream } from "./service-calls.ts";
import { changeCalls } from "./service-changes.ts";
import { type WatchParts, watchMachines } from "./service-watch.ts";
import type { Store } from "./store/store.ts";

/** Logs that one organisation reads at once. */
const MAX_LOG_STREAMS = 512;
/** Events of a machine that has just been started or stopped: those of the call. All of them take longer than the rest of it. */
const BRIEF_EVENTS = 4;
/** Lines that one organisation reads. More than a guest can write; a whole log has some 25,000. */
const LINES = { perSecond: 50_000, burst: 200_000 };
const CHARACTERS_PER_LINE = 256;
/** Finding where a tail begins takes a quarter of what reading it does, or less. */
const TAIL_SHARE = 1 / 4;
/** Followers of a log read one line at a time, each from the file. */
const LINES_PER_READ = 20;
const MAX_HOLDS = 1_000;
const MAX_BATCH = 1_000;

export interface HostServiceParts {
  readonly identity: HostIdentity;
  readonly host: StatusParts & {
    readonly store: WatchParts["store"];
    readonly proxies: Proxies;
    readonly checks: Pick<Checks, "live">;
    readonly ledger: Pick<Ledger, "holds">;
    readonly clock: Clock;
  };
  readonly machines: Machines;
  readonly logs: LogStore;
  /** From 0, idle, to 1, all CPUs busy. */
  readonly load: () => number;
  readonly outbox: Pick<Store, "sequence" | "acknowledged">;
  readonly scheduling: Pick<SchedulingFile, "set">;
  readonly revocations: Pick<Revocations, "isSuspended">;
}

/** Serves the machines of a host. Every call needs the scope `internal`. */
export function hostService(parts: HostServiceParts): HostServiceServer {
  const { identity, host, machines, logs, outbox } = parts;
  const logStreams = new Concurrency(MAX_LOG_STREAMS, tooManyStreams);
  const lines = new Paces({ ...LINES, clock: host.clock });
  const { clock } = host;
  const toProto = (machine: Machine) =>
    machineToProto(host.checks.live(machine), identity.name, [], clock.now());
  const toBriefProto = (machine: Machine) => toProto(withNewestEvents(machine, BRIEF_EVENTS));
  return {
    createMachine: internal(async (req) => {
      const machine = await machines.awards.create(awardFromProto(req));
      const lease = heldLease(machine, clock.now());
      return { machine: { ...toProto(machine), lease: lease && leaseToProto(lease) } };
    }),
    prepareMachine: internalStream(async function* (req, ctx) {
      const id = machineId(req.machineId);
      let imageWasLocal = true;
      for await (const step of machines.prepare(id, req.credentials, ctx.signal)) {
        if (step.kind === "ready") imageWasLocal = step.wasLocal;
        else yield { ...step, machine: undefined, imageWasLocal: false };
      }
      const machine = toProto(machines.get(id, ""));
      yield { detail: "", bytesDone: 0n, bytesTotal: 0n, machine, imageWasLocal };
    }),
    getMachine: internal((req) => ({ machine: toProto(machines.get(machineId(req.machineId), req.org)) })),
    listMachines: internal((req) => listToProto(machines.list(), req, identity.name)),
    setScheduling: internal(async (req) => {
      const previous = await parts.scheduling.set(schedulingFromProto(req.scheduling));
      return { previous: schedulingToProto(previous) };
    }),
    startMachine: internal((req, ctx) =>
      betweenTimes(async () => {
        const id = machineId(req.machineId);
        // Whoever starts it, and whether or not the request names the organisation.
        requireGoodStanding(machines.get(id, req.org).spec.org, parts.revocations);
        const { machine, previous, already, startPath } = await machines.start(
          id,
          req.org,
          watchFromProto(req.watch),
          {
            ...{ nonce: req.leaseNonce, signal: ctx.signal },
            ...{ caller: callerFromProto(req.source), isFromProxy: req.fromProxy },
          },
        );
        return {
          machine: toBriefProto(machine),
          previousState: stateToProto(previous),
          alreadyStarted: already,
          startPath,
        };
      }),
    ),
    stopMachine: internal((req) =>
      betweenTimes(async () => {
        const right = { nonce: req.leaseNonce, ignoreLease: req.ignoreLease };
        const { unusedForMs, options } = stopRequestFromProto(req);
        const id = machineId(req.machineId);
        const { machine, already } =
          unusedForMs === undefined
            ? await machines.stop(id, req.org, options, right)
            : await machines.stopIdle(id, req.org, options, unusedForMs, right);
        return { machine: toBriefProto(machine), alreadyStopped: already };
      }),
    ),
    destroyMachine: internal(async (req) => {
      const { force, ignoreMissing, ignoreLease, leaseNonce: nonce } = req;
      const options = { force, ignoreMissing, ignoreLease, nonce };
      const machine = await machines.destroy(machineId(req.machineId), req.org, options);
      return { machine: machine && toProto(machine) };
    }),
    waitMachine: internal(async (req, ctx) => {
      const { awaited, timeoutMs } = waitFromProto(req);
      const id = machineId(req.machineId);
      const machine = await untilDraining(ctx, "the server is shutting down", (signal) =>
        machines.wait(id, req.org, awaited, timeoutMs, signal),
      );
      return { machine: toProto(machine) };
    }),
    suspendMachine: internal((req) =>
      betweenTimes(async () => {
        const { why, unusedForMs } = suspendFromProto(req);
        const right = { nonce: req.leaseNonce, ignoreLease: req.ignoreLease };
        const id = machineId(req.machineId);
        const { machine, already } = await machines.suspend(id, req.org, why, unusedForMs, right);
        return { machine: toProto(machine), alreadySuspended: already };
      }),
    ),
    attachProxy: attachProxies(host),
    watchMachines: watchMachines({ hostName: identity.name, store: host.store, clock: host.clock }),
    streamLogs: internalStream(async function* (req, ctx) {
      const { id, spec, state } = machines.get(machineId(req.machineId), req.org);
      const { tail, afterSequence } = logsFromProto(req);
      if (state === "destroyed") return;
      const release = logStreams.take(spec.org);
      try {
        // Also for a reader that leaves at once, or wants none of it.
        await lines.take(spec.org, (tail ?? 0) * TAIL_SHARE, ctx.signal);
        const { before, last } = await logs.position(id, tail);
        const start = Math.max(afterSequence, before);
        // The position for a reader that loses the stream before the first line.
        if (req.follow && start >= last) yield { entries: [], position: BigInt(start) };
        const query = { tail: undefined, afterSequence: start, follow: req.follow, signal: ctx.signal };
        for await (const read of logs.read(id, query)) {
          yield { entries: read.map(lineToProto), position: BigInt(read.at(-1)?.sequence ?? start) };
          await lines.take(spec.org, costOf(read), ctx.signal);
        }
      } finally {
        release();
      }
    }),
    getMachines: internal(({ machineIds }) => ({
      machines: batchOf(machineIds, host.store).map((machine) =>
        machineToProto(withNewestEvents(machine, 1), identity.name, ["config"], clock.now()),
      ),
    })),
    ...changeCalls({ hostName: identity.name, machines, clock, revocations: parts.revocations }),
    ...execService({ ...parts, clock, proxies: host.proxies }),
    getHost: internal(() => {
      const offsetMs = host.clock.now() - host.clock.monotonicMs();
      return {
        info: hostInfoToProto(identity),
        status: statusToProto(host, parts.load()),
        holds: firstToEnd(host.ledger.holds()).map((hold) => holdToProto(hold, offsetMs)),
        outboxSequence: BigInt(outbox.sequence),
        outboxAcknowledged: BigInt(outbox.acknowledged),
      };
    }),
  };
}

/** Returns those of some machines that are here. @throws Fault INVALID_FIELDS */
function batchOf(ids: readonly string[], store: Pick<Store, "get">): readonly Machine[] {
  if (ids.length > MAX_BATCH) {
    throw invalid([{ field: "machine_ids", description: `must be at most ${MAX_BATCH}` }]);
  }
  return ids.flatMap((id) => store.get(id) ?? []);
}

/** Returns how many short lines take as long. */
function costOf(lines: readonly StoredLine[]): number {
  return lines.reduce((sum, { text }) => sum + 1 + text.length / CHARACTERS_PER_LINE, LINES_PER_READ);
}

function tooManyStreams(org: string, limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_STREAMS",
    `organisation ${org} reads ${limit} logs of this host already; end some first`,
    { org, limit: String(limit) },
    { retryAfterMs: 1_000 },
  );
}

/** Returns the holds that end first, as many as a message has. */
function firstToEnd(holds: readonly Hold[]): readonly Hold[] {
  return holds.toSorted((a, b) => a.deadlineMs - b.deadlineMs).slice(0, MAX_HOLDS);
}
