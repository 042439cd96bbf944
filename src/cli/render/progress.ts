import { harmless, type Terminal } from "../terminal.ts";
import { cutTo } from "./text.ts";
import { span as time } from "./time.ts";

/** A step of a create, as `WatchCreate` tells it. */
export interface StepMessage {
  readonly step: string;
  readonly status: string;
  readonly detail: string;
  readonly bytesDone: bigint;
  readonly bytesTotal: bigint;
}

/** Steps that took less are not worth a line. */
const WORTH_MS = 1_000;
/** Without a live line, a step that goes on says so this often. */
const REMIND_MS = 5_000;
const FRAME_MS = 100;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** Shows the steps of a create on standard error: one live line on a terminal, plain lines elsewhere, nothing with `--json`. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #told = new Set<string>();
  #current: (StepMessage & { readonly since: number }) | undefined;
  #remindAt = Number.POSITIVE_INFINITY;
  #frame = 0;
  #drawn = false;
  /** Whether any step has been heard of: the server knows this create. */
  hasBegun = false;

  constructor(terminal: Terminal, quiet: boolean) {
    this.#terminal = terminal;
    this.#quiet = quiet;
    if (!quiet) this.#timer = setInterval(() => this.#tick(), FRAME_MS).unref();
  }

  /** A step has begun, gone on or ended. A message that was told before, by a stream that began anew, changes nothing. */
  step(message: StepMessage): void {
    this.hasBegun = true;
    const ended = message.status !== "running";
    const key = `${message.step} ${message.status}`;
    if (this.#told.has(key) || (!ended && this.#told.has(`${message.step} done`))) return;
    if (ended) this.#told.add(key);
    const now = performance.now();
    const same = this.#current?.step === message.step;
    const since = same ? (this.#current?.since ?? now) : now;
    if (!ended) {
      if (!same) this.#remindAt = now + REMIND_MS;
      this.#current = { ...message, since };
      return;
    }
    this.#current = undefined;
    if (message.status === "undone") this.note("undoing what had been done");
    else if (message.status !== "done" || now - since >= WORTH_MS) this.#line(stepLine(message, now - since));
  }

  /** Says something between the steps, once. */
  note(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#line(text);
  }

  /** Ends the live line. */
  close(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #tick(): void {
    if (!this.#current) return;
    const now = performance.now();
    const elapsed = now - this.#current.since;
    if (this.#terminal.isErrTty) {
      if (elapsed < WORTH_MS) return;
      this.#frame = (this.#frame + 1) % FRAMES.length;
      const line = `${FRAMES[this.#frame]} ${stepLine(this.#current, elapsed)}`;
      this.#terminal.err(`\r\x1b[2K${cutTo(line, (this.#terminal.width ?? 80) - 1)}`);
      this.#drawn = true;
    } else if (now >= this.#remindAt) {
      this.#remindAt = now + REMIND_MS;
      this.#line(stepLine(this.#current, elapsed));
    }
  }

  #line(text: string): void {
    if (this.#quiet) return;
    this.#erase();
    this.#terminal.err(`${text}\n`);
  }

  #erase(): void {
    if (this.#drawn) this.#terminal.err("\r\x1b[2K");
    this.#drawn = false;
  }
}

const WHAT: Readonly<Record<string, string>> = {
  resolve: "resolving the image",
  reserve: "asking hosts for room",
  claim: "claiming the reservation",
  award: "awarding it to a host",
  prepare: "making the image local",
  record: "recording the machine",
  launch: "starting the machine",
};

/** One step in one line: `making the image local: pulling layer 2 of 5, 12 of 36 MB, 33 %  (4.20 s)`. */
export function stepLine(message: StepMessage, elapsedMs: number): string {
  const what = WHAT[message.step] ?? harmless(message.step);
  if (message.status === "done") return `${what} took ${time(elapsedMs)}`;
  // Why it failed is what the error says.
  if (message.status !== "running") return `${what} ${harmless(message.status)} after ${time(elapsedMs)}`;
  const parts = [harmless(message.detail), bytes(message)].filter((part) => part !== "");
  return `${what}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}  (${time(elapsedMs)})`;
}

function bytes({ bytesDone, bytesTotal }: StepMessage): string {
  if (bytesDone === 0n) return "";
  const mb = (n: bigint) => Math.round(Number(n) / 1e6);
  if (bytesTotal === 0n) return `${mb(bytesDone)} MB`;
  return `${mb(bytesDone)} of ${mb(bytesTotal)} MB, ${Math.floor((100 * Number(bytesDone)) / Number(bytesTotal))} %`;
}
