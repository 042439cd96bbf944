import { abortable } from "../../../../lib/runtime/abort.ts";
import { endsWithin } from "../../../../lib/runtime/wait.ts";
import type { LogLine, Phase, StartPath, Vm, VmExit, VmSink } from "../../vmm.ts";
import { VM_FILES } from "../process/command-line.ts";
import type { Qmp } from "../process/qmp.ts";
import { connectIn } from "../process/unix-socket.ts";
import type { VmDirs } from "../process/vm-dirs.ts";
import { Agent, type AgentListener } from "./agent.ts";
import { LogPump, readCursor } from "./log-pump.ts";
import type { GuestLine, GuestState } from "./protocol.ts";

/** A guest we talk to, from its first word to its end. */
export interface GuestVmOptions {
  readonly id: string;
  readonly startPath: StartPath;
  readonly dirs: VmDirs;
  readonly qmp: Qmp;
  readonly sink: VmSink;
  /** The host's wall clock in microseconds. */
  readonly now: () => number;
  /** No time the guest tells is before this. */
  readonly notBeforeUs: number;
}

const SIGNAL_TIMEOUT_MS = 10_000;
/** How long lines that a guest announced are waited for. It sends them right behind its exit. */
const LAST_LINES_MS = 5_000;
const ESRCH = 3;
const DEAF: AgentListener = { onState() {}, onLines() {} };

/** The `Vm` of the QEMU adapter, and its making: connect, wait for the guest, wait for the workload. */
export class GuestVm implements Vm {
  id: string;
  startPath: StartPath;
  readonly exited: Promise<VmExit>;
  phases: readonly Phase[] = [];
  startedAtUs = 0;
  private options: GuestVmOptions;
  private readonly agent: Agent;
  private readonly pump: LogPump;
  private readonly watchers = new Set<() => void>();
  private isDetached = false;
  private isEnding = false;
  private resolveExit: (exit: VmExit) => void = () => {};

  /** Takes the conversation over from whoever has had it so far. */
  constructor(options: GuestVmOptions, agent: Agent) {
    this.id = options.id;
    this.startPath = options.startPath;
    this.options = options;
    this.exited = new Promise((resolve) => {
      this.resolveExit = resolve;
    });
    this.agent = agent;
    const toLogLine = (line: GuestLine): LogLine => this.toLogLine(line);
    const sink: VmSink = { onLog: (line) => this.options.sink.onLog(line) };
    this.pump = new LogPump(options.dirs.logCursor(options.id), sink, toLogLine, agent);
    agent.listener = {
      onState: (state) => this.onState(state),
      onLines: (lines) => this.pump.push(lines),
    };
    void this.agent.closed.then(() => this.onClosed());
  }

  /** Connects to the guest and waits for its first word. */
  static async connect(options: GuestVmOptions, signal: AbortSignal): Promise<GuestVm> {
    const socket = await connectIn(options.dirs.runDir(options.id), VM_FILES.agent).catch((err: unknown) => {
      options.qmp.close();
      throw err;
    });
    const vm = new GuestVm(options, new Agent(socket, DEAF, options.now));
    try {
      await vm.agent.sync(readCursor(options.dirs.logCursor(options.id)), signal);
      return vm;
    } catch (err) {
      await vm.detach();
      throw err;
    }
  }

  /** What the guest last said of itself; there is something once `connect` has resolved. */
  get guest(): GuestState {
    const { state } = this.agent;
    if (state === undefined) throw new Error("the guest has not spoken yet");
    return state;
  }

  /** Gives a VM that has waited, and stood still, to the machine it will serve. */
  assign(to: Pick<GuestVmOptions, "id" | "sink" | "notBeforeUs">): void {
    this.options = { ...this.options, ...to };
    this.id = to.id;
    this.agent.restartClock();
  }

  /** A guest's time on the host's clock. */
  toHost(guestUs: number): number {
    return this.agent.clock.toHost(guestUs, this.options.notBeforeUs, this.options.now());
  }

  /** Sends the RUN message. */
  run(make: (nowUs: number) => Buffer): void {
    this.agent.run(make);
  }

  /** Waits until the guest is past `waiting` and `starting`. Rejects when its channel ends, or with the signal's reason. */
  async settled(signal: AbortSignal): Promise<GuestState> {
    while (this.guest.state === "waiting" || this.guest.state === "starting") await this.news(signal);
    return this.guest;
  }

  async signal(signal: number): Promise<void> {
    if (this.isEnding || this.guest.state === "exited") return;
    const errno = await this.agent.signal(signal, SIGNAL_TIMEOUT_MS);
    if (errno !== 0 && errno !== ESRCH)
      throw new Error(`the guest could not send signal ${signal}: errno ${errno}`);
  }

  async detach(): Promise<void> {
    if (this.isDetached) return;
    this.isDetached = true;
    this.pump.close();
    this.agent.close();
    this.options.qmp.close();
  }

  /** Ends it for good, for a VM that is being destroyed: what its sink has not taken by then is lost. */
  async abandon(): Promise<void> {
    await endsWithin(LAST_LINES_MS, this.exited);
    this.resolveExit({
      kind: "vm_lost",
      oomKilled: false,
      exitedAtUs: this.options.now(),
      detail: "destroyed",
    });
    await this.detach();
  }

  private onState(state: GuestState): void {
    for (const wake of this.watchers) wake();
    if (state.state === "exited") void this.finish(state);
  }

  private async news(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void this.agent.closed.then(() => reject(new Error("the guest's channel was closed")));
    this.watchers.add(resolve);
    try {
      await abortable(promise, signal);
    } finally {
      this.watchers.delete(resolve);
    }
  }

  /** The exit is told when all lines before it are with the sink. */
  private async finish(state: GuestState): Promise<void> {
    if (this.isEnding || this.isDetached) return;
    this.isEnding = true;
    const { code, signal, oomKilled, atUs, lastLine } = state.exit;
    const exitedAtUs = this.toHost(atUs);
    // A guest that announces lines and never sends them must not keep its exit from being told.
    await this.pump.reached(lastLine, LAST_LINES_MS);
    this.resolveExit({
      kind: "process",
      ...(code === undefined ? {} : { exitCode: code }),
      ...(signal === undefined ? {} : { signal }),
      oomKilled,
      exitedAtUs,
    });
  }

  private async onClosed(): Promise<void> {
    if (this.isDetached || this.isEnding) return;
    this.isEnding = true;
    const exitedAtUs = this.options.now();
    await this.pump.drained();
    // Its last event may be on its way still; the connection's end is behind it.
    await endsWithin(1_000, this.options.qmp.closed);
    this.resolveExit({ kind: "vm_lost", oomKilled: false, exitedAtUs, detail: this.lastEvent() });
  }

  private lastEvent(): string {
    const shutdown = this.options.qmp.events.findLast(({ name }) => name === "SHUTDOWN");
    if (shutdown === undefined) return "QEMU ended without a word";
    return `the guest ended the VM (${String(shutdown.data["reason"] ?? "unknown reason")})`;
  }

  private toLogLine(line: GuestLine): LogLine {
    return { timeUs: this.toHost(line.timeUs), stream: line.stream, text: line.text, number: line.number };
  }
}
