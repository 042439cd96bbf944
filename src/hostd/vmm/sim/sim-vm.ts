import { type Duplex, duplexPair } from "node:stream";
import { ExecError, type ExecRequest, type ExecSession, type GuestProcess } from "../exec.ts";
import type { ListeningPort, Phase, StartPath, Vm, VmExit, VmSink } from "../vmm.ts";
import { SimExec } from "./sim-exec.ts";
import { type SimFiles, type SimRecord, scriptedExit } from "./sim-files.ts";

const SIGKILL = 9;
/** The longest timer is a little longer. */
const MAX_TIMER_MS = 2 ** 30;

export class SimVm implements Vm {
  readonly id: string;
  readonly startPath: StartPath;
  readonly resumeFailure: string | undefined;
  readonly phases: readonly Phase[];
  readonly startedAtUs: number;
  readonly exited: Promise<VmExit>;
  readonly #files: SimFiles;
  readonly #sink: Pick<VmSink, "onConnection">;
  readonly #record: SimRecord;
  readonly #exit = Promise.withResolvers<VmExit>();
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;
  readonly #execs = new Set<SimExec>();
  #nextPid = 100;
  readonly #ports = new Map<number, ListeningPort["state"]>();
  #watched:
    | { readonly ports: readonly number[]; readonly onChange: (ports: readonly ListeningPort[]) => void }
    | undefined;

  constructor(
    id: string,
    record: SimRecord & { startedAtUs: number },
    phases: readonly Phase[],
    files: SimFiles,
    sink: Pick<VmSink, "onConnection"> = {},
    resumeFailure?: string,
  ) {
    this.id = id;
    this.startPath = record.startPath ?? "cold";
    this.resumeFailure = resumeFailure;
    this.phases = phases;
    this.startedAtUs = record.startedAtUs;
    this.exited = this.#exit.promise;
    this.#files = files;
    this.#sink = sink;
    this.#record = record;
    if (record.exit) this.#end(record.exit);
    else this.#watch();
  }

  /** Opens a connection to the API inside the machine, as a process of the guest does. */
  connect(): Duplex {
    const [inside, outside] = duplexPair();
    inside.once("close", () => outside.destroy());
    outside.once("close", () => inside.push(null));
    if (this.#sink.onConnection && !this.#hasEnded) this.#sink.onConnection(outside);
    else outside.destroy();
    return inside;
  }

  async signal(signal: number): Promise<void> {
    const { onSignal } = this.#record.script;
    if (this.#hasEnded || (signal !== SIGKILL && onSignal === "ignore")) return;
    const byCode = signal !== SIGKILL && typeof onSignal === "number";
    const exit: VmExit = {
      kind: "process",
      ...(byCode ? { exitCode: onSignal } : { signal }),
      oomKilled: false,
      exitedAtUs: Date.now() * 1_000,
    };
    this.#files.write(this.id, { ...this.#record, exit });
    this.#end(exit);
  }

  async exec(request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    signal.throwIfAborted();
    this.#requireRunning();
    const exec = new SimExec(this.#nextPid++, request);
    this.#execs.add(exec);
    void exec.ended.then(() => this.#execs.delete(exec));
    return exec;
  }

  async processes(signal: AbortSignal): Promise<readonly GuestProcess[]> {
    signal.throwIfAborted();
    this.#requireRunning();
    const runMs = Date.now() - this.startedAtUs / 1_000;
    const main = { pid: 1, parentPid: 0, command: "main", directory: "/", cpuMs: 20, systemMs: 10 };
    const socket = { protocol: "tcp", address: "0.0.0.0:80" } as const;
    const execs = [...this.#execs].map(({ pid, request }) => ({
      ...{ pid, parentPid: 0, command: request.argv.join(" "), directory: request.workingDir ?? "/" },
      ...{ cpuMs: 0, systemMs: 0, runMs: 0, residentBytes: 4_096, sockets: [] },
    }));
    return [{ ...main, runMs, residentBytes: 1_048_576, sockets: [socket] }, ...execs];
  }

  watchPorts(ports: readonly number[], onChange: (ports: readonly ListeningPort[]) => void): boolean {
    this.#watched = { ports, onChange };
    setImmediate(() => this.#tellPorts());
    return true;
  }

  /** Makes the workload listen on a port, or no longer. Otherwise it listens on all from the start, unless its script has `sim-deaf`. */
  setPort(port: number, state: ListeningPort["state"]): void {
    this.#ports.set(port, state);
    this.#tellPorts();
  }

  #tellPorts(): void {
    if (this.#hasEnded || !this.#watched) return;
    const { ports, onChange } = this.#watched;
    const initial = this.#record.script.isDeaf ? "closed" : "open";
    onChange(ports.map((port) => ({ port, state: this.#ports.get(port) ?? initial })));
  }

  /** Stops the process, and returns what another VM needs to go on with it; undefined: it has ended. */
  freeze(): SimRecord | undefined {
    if (this.#hasEnded) return undefined;
    for (const exec of this.#execs) exec.interrupt();
    clearTimeout(this.#timer);
    const { script } = this.#record;
    const { runForMs } = script;
    const left = runForMs === undefined ? undefined : runForMs - (Date.now() - this.startedAtUs / 1_000);
    return { script: { ...script, runForMs: left === undefined ? undefined : Math.max(0, left) } };
  }

  /** Lets the process go on. */
  thaw(): void {
    if (!this.#hasEnded) this.#watch();
  }

  async detach(): Promise<void> {
    this.#watched = undefined;
    for (const exec of this.#execs) exec.interrupt();
    clearTimeout(this.#timer);
  }

  /** Reports that the VM was destroyed. */
  abandon(): void {
    this.#end({ kind: "vm_lost", oomKilled: false, exitedAtUs: Date.now() * 1_000, detail: "destroyed" });
  }

  #requireRunning(): void {
    if (this.#hasEnded) throw new ExecError("not_running", "the machine's process has ended");
  }

  #watch(): void {
    const exit = scriptedExit(this.#record);
    if (!exit) return;
    const leftMs = exit.exitedAtUs / 1_000 - Date.now();
    if (leftMs <= 0) this.#end(exit);
    else this.#timer = setTimeout(() => this.#watch(), Math.min(leftMs, MAX_TIMER_MS));
  }

  #end(exit: VmExit): void {
    this.#hasEnded = true;
    for (const exec of this.#execs) exec.interrupt();
    clearTimeout(this.#timer);
    this.#exit.resolve(exit);
  }
}
