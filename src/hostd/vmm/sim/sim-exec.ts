import {
  type ExecEnd,
  ExecError,
  type ExecOutput,
  type ExecRequest,
  type ExecSession,
  type TerminalSize,
} from "../exec.ts";
import { type SimConsole, simPrograms } from "./sim-programs.ts";

const SIGKILL = 9;
const MAX_WAITING_BYTES = 64 * 1024;

/** A simulated command: one of {@link simPrograms}. It waits for its reader and its writer as a real one does. */
export class SimExec implements ExecSession, SimConsole {
  readonly pid: number;
  readonly request: ExecRequest;
  readonly ended: Promise<ExecEnd>;
  readonly output: AsyncIterable<ExecOutput>;
  size: TerminalSize | undefined;
  readonly #ended = Promise.withResolvers<ExecEnd>();
  readonly #abort = new AbortController();
  #waiting: ExecOutput[] = [];
  #input: Buffer[] = [];
  #inputBytes = 0;
  #isInputOver: boolean;
  #end: ExecEnd | undefined;
  #change = Promise.withResolvers<void>();

  /** @throws ExecError when there is no such program */
  constructor(pid: number, request: ExecRequest) {
    const program = simPrograms[request.argv[0] ?? ""];
    if (!program) throw new ExecError("failed", `program "${request.argv[0]}" does not exist in the image`);
    this.pid = pid;
    this.request = request;
    this.size = request.terminal;
    this.ended = this.#ended.promise;
    this.output = this.#read();
    this.#isInputOver = !request.stdin;
    void program(this).then(
      (code) => this.#finish({ kind: "exit", code }),
      () => this.#finish({ kind: "signal", signal: SIGKILL }),
    );
  }

  get killed(): AbortSignal {
    return this.#abort.signal;
  }

  async write(bytes: Buffer): Promise<void> {
    while (this.#inputBytes > MAX_WAITING_BYTES && !this.#end) await this.#change.promise;
    if (this.#isInputOver || this.#end) return;
    this.#input.push(bytes);
    this.#inputBytes += bytes.length;
    this.#notify();
  }

  endInput(): void {
    this.#isInputOver = true;
    this.#notify();
  }

  resize(size: TerminalSize): void {
    this.size = size;
    this.#notify();
  }

  signal(signal: number): void {
    this.#finish({ kind: "signal", signal });
  }

  kill(): void {
    this.#waiting = [];
    this.#finish({ kind: "signal", signal: SIGKILL });
  }

  interrupt(): void {
    this.#finish({ kind: "interrupted", detail: "the machine's process ended" });
  }

  async print(stream: ExecOutput["stream"], bytes: Buffer): Promise<void> {
    while (this.#waiting.length > 0 && !this.#end) await this.#change.promise;
    this.#abort.signal.throwIfAborted();
    this.#waiting.push({ stream, bytes });
    this.#notify();
  }

  async readInput(): Promise<Buffer | undefined> {
    while (this.#input.length === 0 && !this.#isInputOver && !this.#end) await this.#change.promise;
    const next = this.#input.shift();
    this.#inputBytes -= next?.length ?? 0;
    this.#notify();
    return next;
  }

  async resized(): Promise<void> {
    const before = this.size;
    while (this.size === before && !this.#end) await this.#change.promise;
    this.#abort.signal.throwIfAborted();
  }

  #finish(end: ExecEnd): void {
    this.#end ??= end;
    if (end.kind !== "exit") this.#abort.abort();
    this.#notify();
  }

  #notify(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers<void>();
  }

  async *#read(): AsyncGenerator<ExecOutput> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next) {
          this.#notify();
          yield next;
        } else if (this.#end) {
          break;
        } else {
          await this.#change.promise;
        }
      }
    } finally {
      this.kill();
      this.#ended.resolve(this.#end ?? { kind: "signal", signal: SIGKILL });
    }
  }
}
