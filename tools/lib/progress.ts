import { styleText } from "node:util";
import { isInterruption } from "./errors.ts";

/** Shorter steps are not shown. */
const QUIET_MS = 1_000;
/** How often a step that goes on gets a line where lines cannot be rewritten. */
const REMINDER_MS = 10_000;

/** Erases the line that shows the current step. */
const ERASE = "\r\x1b[K";

/** Shows the steps of a command and how long they take. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = performance.now();

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
  }

  /** Runs `work` as a step. `work` may show details. */
  async step<T>(name: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    let detail = "";
    let announced = false;
    let lastLineAt = 0;
    const show = () => {
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs < QUIET_MS) return;
      const line = `${name}${detail === "" ? "" : `: ${detail}`} ... ${seconds(elapsedMs)}`;
      if (this.#out.isTTY) this.#out.write(`${ERASE}${line}`);
      else if (!announced || elapsedMs - lastLineAt > REMINDER_MS) {
        this.#out.write(`${line}\n`);
        lastLineAt = elapsedMs;
      }
      announced = true;
    };
    const timer = setInterval(show, this.#out.isTTY ? 200 : 1_000);
    const finish = (mark: string) => {
      clearInterval(timer);
      if (!announced) return;
      const start = this.#out.isTTY ? ERASE : "";
      this.#out.write(`${start}${name} ${mark} ${seconds(performance.now() - startedAt)}\n`);
    };
    try {
      const result = await work((text) => {
        detail = text;
      });
      finish(styleText("dim", "took"));
      return result;
    } catch (cause) {
      finish(isInterruption(cause) ? "interrupted after" : styleText("red", "failed after"));
      throw cause;
    }
  }

  say(line: string): void {
    this.#out.write(`${this.#out.isTTY ? ERASE : ""}${line}\n`);
  }

  /** The time since this was made, e.g. `12.3 s`. */
  elapsed(): string {
    return seconds(performance.now() - this.#startedAt);
  }
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
