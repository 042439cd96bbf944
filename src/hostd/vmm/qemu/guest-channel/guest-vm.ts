import { endsWithin } from "../../../../lib/runtime/wait.ts";
import { ExecError, type ExecRequest, type ExecSession, type GuestProcess } from "../../exec.ts";
import type { OutputReceipt, OutputSession } from "../../output.ts";
import { wallClockUs } from "../../phase-log.ts";
import type { ListeningPort, Phase, StartPath, Vm, VmExit, VmSink } from "../../vmm.ts";
import { EXEC_VERSION, type GuestState, LISTEN_VERSION, SAVE_VERSION } from "../guest-protocol/protocol.ts";
import type { Qmp } from "../monitor/qmp.ts";
import type { VmDirs } from "../process/vm-dirs.ts";
import { Agent, type GoingOn } from "./agent.ts";
import { Freezer } from "./freezer.ts";
import { InlineOutput } from "./inline-output.ts";
import { readCursor } from "./log-cursor.ts";
import { LogPump } from "./log-pump.ts";

export interface GuestVmOptions {
  readonly id: string;
  readonly startPath: StartPath;
  readonly dirs: VmDirs;
  readonly qmp: Qmp;
  readonly sink: VmSink;
  /** No time from the guest is before this. */
  readonly notBeforeUs: number;
}

/** The machine that gets a warm VM. */
export type NewOwner = Pick<GuestVmOptions, "id" | "sink" | "notBeforeUs">;

/** How long announced lines are awaited. A guest sends them right after its exit. */
const LAST_LINES_TIMEOUT_MS = 5_000;
/** How long QEMU's last event is awaited when the channel has ended. */
const LAST_EVENT_TIMEOUT_MS = 1_000;
/** Longest wait for the output's last write, which is behind other work of the logs' thread. */
const CLOSE_OUTPUT_TIMEOUT_MS = 5_000;
const ESRCH = 3;

/** A VM of the QEMU adapter, whose guest answers. */
export class GuestVm implements Vm {
  id: string;
  readonly startPath: StartPath;
  readonly qmp: Qmp;
  readonly exited: Promise<VmExit>;
  resumeFailure: string | undefined;
  notFaster: string | undefined;
  phases: readonly Phase[] = [];
  startedAtUs = 0;
  readonly #agent: Agent;
  readonly #freezer: Freezer;
  readonly #pump: LogPump;
  readonly #exit = Promise.withResolvers<VmExit>();
  readonly #dirs: VmDirs;
  #output: OutputSession;
  #notBeforeUs: number;
  #detached: Promise<void> | undefined;

  constructor({ id, startPath, dirs, qmp, sink, notBeforeUs }: GuestVmOptions, agent: Agent) {
    this.id = id;
    this.startPath = startPath;
    this.qmp = qmp;
    this.exited = this.#exit.promise;
    this.#agent = agent;
    this.#freezer = new Freezer(agent);
    this.#dirs = dirs;
    this.#output = openOutput(sink, dirs.logCursor(id));
    this.#notBeforeUs = notBeforeUs;
    const lastStored = readCursor(dirs.logCursor(id)).number;
    this.#pump = new LogPump(lastStored, (frames, after) => this.#store(frames, after), agent);
    this.#take(sink);
    agent.onLines = (frame) => this.#pump.push(frame);
    void agent
      .waitFor(({ state }) => state === "exited")
      .then(
        (state) => this.#onExit(state),
        () => this.#onClosed(),
      );
  }

  /** Connects to a VM of an earlier hostd and waits for its state. */
  static async adopt(options: GuestVmOptions, signal: AbortSignal): Promise<GuestVm> {
    const { dirs, id, qmp } = options;
    let agent: Agent | undefined;
    try {
      agent = await Agent.connect(dirs.runDir(id));
      // Before SYNC, as lines follow its answer at once.
      const vm = new GuestVm(options, agent);
      await agent.sync(vm.#pump.lastDelivered, signal);
      return vm;
    } catch (err) {
      agent?.close();
      qmp.close();
      throw err;
    }
  }

  get isDetached(): boolean {
    return this.#detached !== undefined;
  }

  get guest(): GuestState {
    const { state } = this.#agent;
    if (state === undefined) throw new Error("the guest has not answered yet");
    return state;
  }

  /** Gives a warm VM, which is paused, to a machine. */
  assign({ id, sink, notBeforeUs }: NewOwner): void {
    this.id = id;
    void this.#output.close();
    this.#output = openOutput(sink, this.#dirs.logCursor(id));
    this.#take(sink);
    this.#notBeforeUs = notBeforeUs;
    this.#agent.resetClock();
  }

  /** Begins a session with a guest that goes on after a save. */
  async join(signal: AbortSignal): Promise<void> {
    await this.#agent.sync(this.#pump.lastDelivered, signal);
  }

  /** Number of the last line that is stored. */
  get lastStored(): number {
    return this.#pump.lastDelivered;
  }

  /** Resolves when the lines that have come are stored. */
  untilStored(): Promise<void> {
    return this.#pump.drained();
  }

  /** Stops the workload. Rejects when it does not run. @param closes ends its connections with others */
  async freeze(closes: boolean, signal: AbortSignal): Promise<void> {
    this.#requireRunning();
    if (this.guest.protocol < SAVE_VERSION)
      throw new Error("the machine was started by an older version; restart it first");
    await this.#freezer.freeze(closes, signal);
  }

  /** Lets a workload that stands still go on, if it has not ended. Rejects when it does not. */
  async thaw(how: GoingOn, signal: AbortSignal): Promise<void> {
    if (this.guest.state === "running") await this.#freezer.thaw(how, signal);
  }

  toHost(guestUs: number): number {
    return this.#agent.clock.toHost(guestUs, this.#notBeforeUs, wallClockUs());
  }

  /** Most by which a time of the guest may be off on the host's clock; undefined: nobody knows. */
  get clockErrorUs(): number | undefined {
    return this.#agent.clock.errorUs(wallClockUs());
  }

  /** Sends a RUN message and waits until its workload runs, or has failed or exited. */
  async run(make: (nowUs: number) => Buffer, signal: AbortSignal): Promise<GuestState> {
    this.#agent.run(make);
    return await this.started(signal);
  }

  /** Waits until the guest is past `waiting` and `starting`. Rejects when its channel ends. */
  started(signal: AbortSignal): Promise<GuestState> {
    return this.#agent.waitFor(({ state }) => state !== "waiting" && state !== "starting", signal);
  }

  async signal(signal: number): Promise<void> {
    if (this.guest.state === "exited") return;
    const errno = await this.#agent.signal(signal);
    if (errno !== 0 && errno !== ESRCH)
      throw new Error(`the guest could not send signal ${signal}: errno ${errno}`);
  }

  async exec(request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    this.#requireRunning();
    return await this.#agent.execs.run(request, signal);
  }

  watchPorts(ports: readonly number[], onChange: (ports: readonly ListeningPort[]) => void): boolean {
    if (this.isDetached || this.guest.protocol < LISTEN_VERSION) return false;
    this.#agent.onListening = onChange;
    this.#agent.listen(ports);
    return true;
  }

  async processes(signal: AbortSignal): Promise<readonly GuestProcess[]> {
    this.#requireRunning();
    return await this.#agent.execs.list(signal);
  }

  detach(): Promise<void> {
    this.#detached ??= this.#detach();
    return this.#detached;
  }

  async #detach(): Promise<void> {
    this.#pump.close();
    const closed = this.#output.close();
    this.#agent.close();
    this.qmp.close();
    // The caller may remove the VM's folder next, which has the output's cursor.
    await endsWithin(CLOSE_OUTPUT_TIMEOUT_MS, closed);
  }

  /** Detaches from a VM that is being destroyed, and drops lines that its sink does not take. */
  async abandon(): Promise<void> {
    await endsWithin(LAST_LINES_TIMEOUT_MS, this.exited);
    this.#exit.resolve(lostExit(wallClockUs(), "destroyed"));
    await this.detach();
  }

  /** Gives the machine's own host the connections that its processes open. */
  #take({ onConnection }: VmSink): void {
    this.#agent.connections.onOpen = (connection) => {
      if (onConnection) onConnection(connection);
      else connection.destroy();
    };
  }

  #requireRunning(): void {
    if (this.#freezer.isFrozen) throw new ExecError("not_running", "the machine is being saved");
    if (this.isDetached || this.#agent.isClosed || this.guest.state !== "running")
      throw new ExecError("not_running", "the machine's process has ended");
    // A VM that an earlier hostd launched.
    if (this.guest.protocol < EXEC_VERSION)
      throw new ExecError(
        "failed",
        "the machine was started by an older version; restart it to run commands",
      );
  }

  async #store(frames: Uint8Array<ArrayBuffer>, afterNumber: number): Promise<OutputReceipt> {
    const { clock } = this.#agent;
    const arrivedUs = wallClockUs();
    const batch = { frames, afterNumber, arrivedUs, notBeforeUs: this.#notBeforeUs, clock: clock.bounds };
    const receipt = await this.#output.store(batch);
    if (receipt.guestUs > 0) clock.received(receipt.guestUs, arrivedUs);
    return receipt;
  }

  /** Reports the exit once all lines before it are delivered, or do not come. */
  async #onExit({ exit }: GuestState): Promise<void> {
    if (this.isDetached) return;
    const exitedAtUs = this.toHost(exit.atUs);
    await this.#pump.drainedUpTo(exit.lastLine, LAST_LINES_TIMEOUT_MS);
    this.#exit.resolve({
      kind: "process",
      ...(exit.code === undefined ? {} : { exitCode: exit.code }),
      ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      oomKilled: exit.oomKilled,
      exitedAtUs,
    });
  }

  async #onClosed(): Promise<void> {
    if (this.isDetached) return;
    const exitedAtUs = wallClockUs();
    await this.#pump.drained();
    await endsWithin(LAST_EVENT_TIMEOUT_MS, this.qmp.closed);
    const shutdown = this.qmp.events.findLast(({ name }) => name === "SHUTDOWN");
    const reason = String(shutdown?.data["reason"] ?? "unknown reason");
    const detail = shutdown ? `the guest ended the VM (${reason})` : "QEMU ended without a SHUTDOWN event";
    this.#exit.resolve(lostExit(exitedAtUs, detail));
  }
}

function openOutput(sink: VmSink, cursorFile: string): OutputSession {
  return sink.openOutput?.(cursorFile) ?? new InlineOutput(sink, cursorFile);
}

function lostExit(exitedAtUs: number, detail: string): VmExit {
  return { kind: "vm_lost", oomKilled: false, exitedAtUs, detail };
}
