import type { AuditEntry } from "../../../../src/gen/windhover/admin/v1/audit.ts";
import type { DrainHostResponse, Host } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import type { Organization } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import type { Token } from "../../../../src/gen/windhover/admin/v1/tokens.ts";
import type { App, Hostname } from "../../../../src/gen/windhover/machines/v1/apps.ts";
import type { Process, TerminalSize } from "../../../../src/gen/windhover/machines/v1/exec.ts";
import {
  type ExitEvent,
  type Lease,
  type LogEntry,
  Machine,
  MachineConfig,
  type MachineEvent,
  MachineState,
  ServiceConfig,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type {
  MachineVersion,
  WatchCreateResponse,
  WatchMachinesResponse,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import type { Reservation } from "../../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import type { CallContext } from "../../../../src/lib/grpc/server/rpc.ts";

/** What a command does: it may write, and ends with a code. */
export type Program = (
  command: readonly string[],
  stdin: AsyncIterable<Buffer>,
) => AsyncIterable<{ stdout?: string; stderr?: string; exit?: number }>;

/** Writes its arguments and its input, and ends. */
const echo: Program = async function* (command, stdin) {
  yield { stdout: `${command.join("|")}\n` };
  for await (const chunk of stdin) yield { stdout: chunk.toString() };
  yield { exit: 0 };
};

/** What a scripted API has in memory, and what it has been asked. */
export class FakeState {
  readonly machines = new Map<string, Machine>();
  readonly apps = new Map<string, App>();
  readonly hostnames = new Map<string, Hostname>();
  readonly orgs = new Map<string, Organization>();
  readonly logs: LogEntry[] = [];
  hosts: Host[] = [];
  reservations: Reservation[] = [];
  tokens: Token[] = [];
  /** What `DrainHost` tells. */
  drained: DrainHostResponse[] = [];
  /** A drain does not end. */
  drainsHang = false;
  readonly audited: AuditEntry[] = [];
  /** What the next call of a method fails with. */
  readonly failures = new Map<string, Fault>();
  readonly requests: { method: string; request: unknown; traceparent: string }[] = [];
  /** What `WatchCreate` tells. */
  steps: WatchCreateResponse[] = [];
  /** Waits do not end. */
  waitsHang = false;
  /** How long a create takes, in milliseconds. */
  createMs = 0;
  /** A create ends only after `WatchCreate` has sent everything. */
  endsCreatesWhenWatched = false;
  watched = Promise.withResolvers<void>();
  /** What machines have to tell, newest first. */
  events: MachineEvent[] = [];
  versions: MachineVersion[] = [];
  readonly leases = new Map<string, Lease>();
  /** What `WatchMachines` tells, one after the other; then it goes on in silence. */
  changes: WatchMachinesResponse[] = [];
  /** Runs what is executed in a machine. */
  program: Program = echo;
  /** Sizes that terminals were given, the first and each new one. */
  readonly sizes: TerminalSize[] = [];
  readonly signals: string[] = [];
  processes: Process[] = [];
  /** A program of a machine ends when this does. */
  exits = Promise.withResolvers<ExitEvent>();
  /** Forgets everything that tests have done. */
  reset(): void {
    for (const map of [this.machines, this.apps, this.hostnames, this.orgs, this.failures]) map.clear();
    this.logs.length = 0;
    this.requests.length = 0;
    this.steps = [];
    this.hosts = [];
    this.reservations = [];
    this.tokens = [];
    this.drained = [];
    this.drainsHang = false;
    this.audited.length = 0;
    this.events = [];
    this.versions = [];
    this.leases.clear();
    this.changes = [];
    this.program = echo;
    this.sizes.length = 0;
    this.signals.length = 0;
    this.processes = [];
    this.exits = Promise.withResolvers();
    this.createMs = 0;
    this.waitsHang = false;
    this.endsCreatesWhenWatched = false;
    this.watched = Promise.withResolvers();
  }

  /** Adds a machine. */
  add(fields: Partial<Machine> & { id: string }): Machine {
    const machine = {
      ...Machine.create(),
      name: `m-${fields.id.slice(-2)}`,
      app: "web",
      org: "acme",
      region: "ord",
      host: "ord-1",
      state: MachineState.STOPPED,
      generation: 7n,
      hostStatus: 1 as const,
      createTime: new Date(Date.now() - 3_600_000),
      config: {
        ...MachineConfig.create(),
        image: "127.0.0.1:5000/hello:1",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
        env: new Map([["MixedCase_KEY", "v"]]),
        init: undefined,
        services: [ServiceConfig.fromPartial({ protocol: "tcp", internalPort: 8080 })],
        stopConfig: { signal: "SIGTERM", timeout: { seconds: 2n, nanos: 500_000_000 } },
        metadata: new Map<string, string>(),
      },
      ...fields,
    };
    this.machines.set(machine.id, machine);
    return machine;
  }

  /** Notes a call, and fails or answers as scripted. */
  answer<T>(method: string, request: unknown, ctx: CallContext, fn: () => T): T {
    const traceparent = ctx.metadata.get("traceparent")[0]?.toString() ?? "";
    this.requests.push({ method, request, traceparent });
    const failure = this.failures.get(method);
    if (failure) {
      this.failures.delete(method);
      throw failure;
    }
    return fn();
  }

  /** Returns a machine. @throws Fault `MACHINE_NOT_FOUND` */
  machine(id: string): Machine {
    const machine = this.machines.get(id);
    if (!machine)
      throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
    return machine;
  }

  /** Changes a machine. */
  change(id: string, fields: Partial<Machine>): Machine {
    const machine = { ...this.machine(id), ...fields };
    this.machines.set(id, machine);
    return machine;
  }
}

/** A line of a machine. */
export function line(sequence: number, text: string, stream = "stdout"): LogEntry {
  return { time: new Date(1.7e12 + sequence), stream, text, sequence: BigInt(sequence) };
}

/** A step of a create. */
export function step(name: string, status: string, detail = ""): WatchCreateResponse {
  return { step: name, status, detail, bytesDone: 0n, bytesTotal: 0n, time: new Date() };
}
