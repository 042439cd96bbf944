import type { WatchCreateResponse } from "../../gen/windhover/machines/v1/machines.ts";
import { harmless, type Terminal } from "../session/terminal.ts";
import { cutTo } from "./text.ts";
import { span as time } from "./time.ts";

export type StepMessage = Omit<WatchCreateResponse, "time">;

/** Shorter steps get no line. */
const WORTH_MS = 1_000;
/** How often a step that goes on gets a line where there is no live line. */
const REMIND_MS = 5_000;
const FRAME_MS = 100;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** Shows the steps of a create on standard error: a live line on a terminal, else plain lines. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #shown = new Set<string>();
  #current: (StepMessage & { readonly since: number }) | undefined;
  #remindAt = Number.POSITIVE_INFINITY;
  #frame = 0;
  #drawn = false;
  /** Whether a step has arrived: the server knows this create. */
  hasBegun = false;

  constructor(terminal: Terminal, quiet: boolean) {
    this.#terminal = terminal;
    this.#quiet = quiet;
    if (!quiet) this.#timer = setInterval(() => this.#tick(), FRAME_MS).unref();
  }

  /** Takes a message about a step. One that a new stream repeats changes nothing. */
  step(message: StepMessage): void {
    this.hasBegun = true;
    const ended = message.status !== "running";
    const key = `${message.step} ${message.status}`;
    if (this.#shown.has(key) || (!ended && this.#shown.has(`${message.step} done`))) return;
    if (ended) this.#shown.add(key);
    const now = performance.now();
    const same = this.#current?.step === message.step;
    const since = same ? (this.#current?.since ?? now) : now;
    if (!ended) {
      if (!same) this.#remindAt = now + REMIND_MS;
      this.#current = { ...message, since };
      return;
    }
    this.#current = undefined;
    if (message.status === "undone") this.note("undoing the steps before it");
    else if (message.status !== "done" || now - since >= WORTH_MS) this.#line(stepLine(message, now - since));
  }

  /** Shows a line between the steps, once. */
  note(text: string): void {
    if (this.#shown.has(text)) return;
    this.#shown.add(text);
    this.#line(text);
  }

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

const STEPS: Readonly<Record<string, string>> = {
  preflight: "checking quota, app and name",
  resolve: "resolving the image",
  reserve: "asking hosts for offers",
  award: "awarding it to a host",
  release: "releasing the other hosts",
  prepare: "preparing the image",
  commit: "storing the machine",
  launch: "starting the machine",
};

/** Describes a step: `preparing the image: pulling layer 2 of 5, 12 of 36 MB, 33 %  (4.20 s)`. */
export function stepLine(message: StepMessage, elapsedMs: number): string {
  const what = STEPS[message.step] ?? harmless(message.step);
  if (message.status === "done") return `${what} took ${time(elapsedMs)}`;
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
