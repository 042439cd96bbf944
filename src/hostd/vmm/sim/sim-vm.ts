import { ExecError, type ExecSession, type GuestProcess } from "../exec.ts";
import type { Phase, StartPath, Vm, VmExit } from "../vmm.ts";
import { type SimFiles, type SimRecord, scriptedExit } from "./sim-files.ts";

const SIGKILL = 9;
/** The longest timer is a little longer. */
const MAX_TIMER_MS = 2 ** 30;

export class SimVm implements Vm {
  readonly id: string;
  readonly startPath: StartPath = "cold";
  readonly phases: readonly Phase[];
  readonly startedAtUs: number;
  readonly exited: Promise<VmExit>;
  readonly #files: SimFiles;
  readonly #record: SimRecord;
  readonly #exit = Promise.withResolvers<VmExit>();
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(
    id: string,
    record: SimRecord & { startedAtUs: number },
    phases: readonly Phase[],
    files: SimFiles,
  ) {
    this.id = id;
    this.phases = phases;
    this.startedAtUs = record.startedAtUs;
    this.exited = this.#exit.promise;
    this.#files = files;
    this.#record = record;
    if (record.exit) this.#end(record.exit);
    else this.#watch();
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

  async exec(): Promise<ExecSession> {
    throw new ExecError("lost", "commands are not built yet");
  }

  async processes(): Promise<readonly GuestProcess[]> {
    throw new ExecError("lost", "commands are not built yet");
  }

  async detach(): Promise<void> {
    clearTimeout(this.#timer);
  }

  /** Reports that the VM was destroyed. */
  abandon(): void {
    this.#end({ kind: "vm_lost", oomKilled: false, exitedAtUs: Date.now() * 1_000, detail: "destroyed" });
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
    clearTimeout(this.#timer);
    this.#exit.resolve(exit);
  }
}
