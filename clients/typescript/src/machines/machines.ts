import { randomUUID } from "node:crypto";
import type { Caller, CallOptions, UnaryMethod } from "../calls/caller.ts";
import { isWindhoverError } from "../calls/errors.ts";
import type { RetryPolicy } from "../calls/retry.ts";
import { MachineConfig, Placement } from "../gen/windhover/machines/v1/machine.ts";
import {
  ListMachinesRequest,
  MachinesServiceClient,
  type MachineVersion,
  type WatchCreateResponse,
} from "../gen/windhover/machines/v1/machines.ts";
import { durationOrNone } from "../values/duration.ts";
import { complete } from "../values/input.ts";
import {
  eventFromProto,
  type Machine,
  type MachineEvent,
  type MachineState,
  machineFromProto,
  stateFromProto,
  stateToProto,
} from "../values/machine.ts";
import { type LogLine, logLines, type MachineChange, machineChanges } from "./feeds.ts";
import { Metadata } from "./metadata.ts";
import type {
  CreateMachine,
  DestroyOptions,
  Guarded,
  ListMachines,
  LogOptions,
  MachineConfigInput,
  RestartOptions,
  StartOptions,
  StopOptions,
  UpdateOptions,
  WaitOptions,
  WatchOptions,
} from "./requests.ts";
import { DEFAULTS, within } from "./timeouts.ts";
import { waitFor } from "./wait.ts";

/** The answer to a start. */
export interface Started {
  /** When the process has ended within `watchMs`, its state is `stopped`. */
  readonly machine: Machine;
  /** State before the call. */
  readonly previousState: MachineState;
  readonly alreadyStarted: boolean;
  /** `warm`, `template` or `cold`. */
  readonly startPath: string;
}

/** A page of a list. */
export interface MachinePage {
  readonly machines: readonly Machine[];
  /** With `fresh`: regions of hosts that did not answer. Their machines are as in the database. */
  readonly unansweredRegions: readonly string[];
}

/** Creates machines and moves them through their life. */
export class Machines {
  /** Changes metadata without a new version. */
  readonly metadata: Metadata;
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.metadata = new Metadata(caller);
  }

  /**
   * Creates a machine and, unless `skipLaunch`, starts it. Returns when its process runs; a failed
   * start does not fail the create, the machine's state and newest event say why. Repeated when the
   * connection is lost: the request id makes that safe.
   */
  async create(request: CreateMachine, options: CallOptions = {}): Promise<Machine> {
    const { app, name = "", region = "", skipLaunch = false, cordoned = false, leaseTtlMs } = request;
    const message = {
      ...{ app, name, region, skipLaunch, cordoned },
      // An empty one would be none, and a repeat another machine.
      requestId: request.requestId || randomUUID(),
      config: complete(MachineConfig, request.config),
      placement: request.placement && complete(Placement, request.placement),
      leaseTtl: durationOrNone(leaseTtlMs),
    };
    const scope = within(DEFAULTS.createMs, options);
    const { machine } = await this.#call((c) => c.createMachine, message, "always", scope);
    return machineFromProto(machine);
  }

  /**
   * Follows a create by its request id: each step, and progress within it. After a lost connection it
   * comes again from the beginning.
   */
  watchCreate(
    requestId: string,
    options: CallOptions = {},
  ): AsyncGenerator<WatchCreateResponse, void, undefined> {
    const scope = within(DEFAULTS.createMs, options);
    const method = (client: MachinesServiceClient) => client.watchCreate;
    return this.#caller.stream(MachinesServiceClient, method, { requestId }, (same) => same, scope);
  }

  async get(machineId: string, options: CallOptions = {}): Promise<Machine> {
    const { machine } = await this.#call((c) => c.getMachine, { machineId }, "always", options);
    return machineFromProto(machine);
  }

  /** Lists machines, oldest first. Reads page after page as the loop goes on. */
  async *list(filter: ListMachines = {}): AsyncGenerator<Machine, void, undefined> {
    for await (const { machines } of this.pages(filter)) yield* machines;
  }

  /** Lists machines by pages, which name regions that did not answer. */
  async *pages(filter: ListMachines = {}): AsyncGenerator<MachinePage, void, undefined> {
    const { timeoutMs, signal, states = [], pageSize = 0, ...rest } = filter;
    const fields = { ...rest, pageSize, states: states.map(stateToProto) };
    const request = complete(ListMachinesRequest, fields);
    do {
      const page = await this.#call((c) => c.listMachines, request, "always", { timeoutMs, signal });
      const machines = page.machines.map(machineFromProto);
      yield { machines, unansweredRegions: page.unansweredRegions };
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }

  /**
   * Starts a machine; returns when its process runs. Starting a started machine succeeds.
   *
   * A start whose answer is lost is not repeated blindly, as a short program would run twice: the
   * machine is read, and what runs or was never begun decides.
   */
  async start(machineId: string, options: StartOptions = {}): Promise<Started> {
    const { watchMs, leaseNonce = "", timeoutMs = DEFAULTS.startMs, signal } = options;
    const message = { machineId, watch: durationOrNone(watchMs), leaseNonce };
    const until = Date.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      try {
        const scope = { timeoutMs: until - Date.now(), signal };
        const response = await this.#call((c) => c.startMachine, message, "ifNotDone", scope);
        const { previousState, machine, ...rest } = response;
        return { ...rest, machine: machineFromProto(machine), previousState: stateFromProto(previousState) };
      } catch (err) {
        if (!isWindhoverError(err, "CONNECTION_LOST") || attempt > 0) throw err;
        const machine = await this.get(machineId, { timeoutMs: until - Date.now(), signal });
        const { state, lastStartPath: startPath } = machine;
        if (state === "started") return { machine, previousState: state, alreadyStarted: true, startPath };
        // The first is before any start; the second joins the start that goes on.
        if (state !== "created" && state !== "starting") throw err;
      }
    }
  }

  /** Stops a machine; returns when its process has ended. Stopping a stopped machine succeeds. */
  async stop(machineId: string, options: StopOptions = {}): Promise<Machine> {
    const { stopSignal = "", graceMs, leaseNonce = "", ...scope } = options;
    const message = { machineId, signal: stopSignal, timeout: durationOrNone(graceMs), leaseNonce };
    const bounds = within(DEFAULTS.stopMs + (graceMs ?? DEFAULTS.graceMs), scope);
    const { machine } = await this.#call((c) => c.stopMachine, message, "always", bounds);
    return machineFromProto(machine);
  }

  /** Stops a machine and starts it again. A machine that does not run is started. */
  async restart(machineId: string, options: RestartOptions = {}): Promise<Machine> {
    const { stopSignal = "", graceMs, force = false, leaseNonce = "", ...scope } = options;
    const timeout = durationOrNone(graceMs);
    const message = { machineId, signal: stopSignal, timeout, forceStop: force, leaseNonce };
    const graceful = force ? 0 : (graceMs ?? DEFAULTS.graceMs);
    const bounds = within(DEFAULTS.stopMs + DEFAULTS.startMs + graceful, scope);
    const { machine } = await this.#call((c) => c.restartMachine, message, "ifNotDone", bounds);
    return machineFromProto(machine);
  }

  /**
   * Replaces the configuration by a new version. Nothing of the old one is kept. A repeat of the call makes no
   * further version: each has a `requestId`.
   */
  async update(machineId: string, config: MachineConfigInput, options: UpdateOptions = {}): Promise<Machine> {
    const { currentVersion = "", launch = false, skipLaunch = false, rollback = false, ...rest } = options;
    const { readyTimeoutMs, leaseNonce = "", requestId, ...scope } = rest;
    const message = {
      requestId: requestId || randomUUID(),
      ...{ machineId, currentVersion, launch, skipLaunch, rollback, leaseNonce },
      config: complete(MachineConfig, config),
      readyTimeout: durationOrNone(readyTimeoutMs),
    };
    const bounds = within(DEFAULTS.updateMs + (readyTimeoutMs ?? 0), scope);
    const { machine } = await this.#call((c) => c.updateMachine, message, "always", bounds);
    return machineFromProto(machine);
  }

  /** Removes a machine. Destroying a destroyed machine succeeds. */
  async destroy(machineId: string, options: DestroyOptions = {}): Promise<Machine> {
    const { force = false, leaseNonce = "", ...scope } = options;
    const message = { machineId, force, leaseNonce };
    const bounds = within(DEFAULTS.stopMs, scope);
    const { machine } = await this.#call((c) => c.destroyMachine, message, "always", bounds);
    return machineFromProto(machine);
  }

  /**
   * Waits until a machine is in one of the states. Fails with `STATE_UNREACHABLE` at once when none
   * of them can be reached without another call, and with `WAIT_TIMEOUT`.
   */
  wait(machineId: string, options: WaitOptions = {}): Promise<Machine> {
    return waitFor(this.#caller, machineId, options);
  }

  /** Sends a signal to the main process, e.g. `SIGHUP`. */
  async signal(machineId: string, name: string, options: Guarded = {}): Promise<Machine> {
    const { leaseNonce = "", ...scope } = options;
    const message = { machineId, signal: name, leaseNonce };
    const { machine } = await this.#call((c) => c.signalMachine, message, "ifNotDone", scope);
    return machineFromProto(machine);
  }

  /** Makes proxies send the machine no requests. */
  cordon(machineId: string, options: Guarded = {}): Promise<Machine> {
    return this.#setCordon(machineId, true, options);
  }

  /** Makes proxies send the machine requests again. */
  uncordon(machineId: string, options: Guarded = {}): Promise<Machine> {
    return this.#setCordon(machineId, false, options);
  }

  /** Saves memory and ends the VM; a start goes on where it was. */
  async suspend(machineId: string, options: Guarded = {}): Promise<Machine> {
    const { leaseNonce = "", ...scope } = options;
    const message = { machineId, leaseNonce };
    const { machine } = await this.#call((c) => c.suspendMachine, message, "ifNotDone", scope);
    return machineFromProto(machine);
  }

  /** Lists what happened to a machine, newest first. */
  async *events(machineId: string, options: CallOptions = {}): AsyncGenerator<MachineEvent, void, undefined> {
    let pageToken = "";
    do {
      const message = { machineId, pageSize: 0, pageToken };
      const page = await this.#call((c) => c.listMachineEvents, message, "always", options);
      yield* page.events.map(eventFromProto);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** Lists the versions of a machine's configuration, newest first. */
  async *versions(
    machineId: string,
    options: CallOptions = {},
  ): AsyncGenerator<MachineVersion, void, undefined> {
    let pageToken = "";
    do {
      const message = { machineId, pageSize: 0, pageToken };
      const page = await this.#call((c) => c.listMachineVersions, message, "always", options);
      yield* page.versions;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /**
   * Watches how machines change, from their present states or after a position. Resumes by position
   * when the connection is lost: nothing is lost, and nothing comes twice. Ends with the loop.
   */
  watch(options: WatchOptions = {}): AsyncGenerator<MachineChange, void, undefined> {
    return machineChanges(this.#caller, options);
  }

  /** Reads the output of a machine, oldest first; resumed as `watch` is. */
  logs(machineId: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, undefined> {
    return logLines(this.#caller, machineId, options);
  }

  async #setCordon(machineId: string, cordoned: boolean, { leaseNonce = "", ...scope }: Guarded) {
    const message = { machineId, cordoned, leaseNonce };
    const { machine } = await this.#call((c) => c.setMachineCordon, message, "always", scope);
    return machineFromProto(machine);
  }

  #call<Req, Res>(
    method: (client: MachinesServiceClient) => UnaryMethod<Req, Res>,
    message: Req,
    retry: RetryPolicy,
    options: CallOptions,
  ): Promise<Res> {
    const scope = { retry, ...within(DEFAULTS.callMs, options) };
    return this.#caller.unary(MachinesServiceClient, method, message, scope);
  }
}
