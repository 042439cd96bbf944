import { styleText } from "node:util";
import { isInterruption } from "./main.ts";

/** Steps shorter than this are not announced. */
const QUIET_MS = 1_000;
/** A step that goes on says so this often where lines cannot be rewritten. */
const REMINDER_MS = 10_000;

/** Tells a person what is being done and how long it takes. A step that is done within a second says nothing. */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = performance.now();

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
  }

  /** Runs `work` as a step of that name. `work` may say what it is at. */
  async step<T>(name: string, work: (say: (detail: string) => void) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    let detail = "";
    let announced = false;
    let lastLineAt = 0;
    const show = () => {
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs < QUIET_MS) return;
      const line = `${name}${detail === "" ? "" : `: ${detail}`} ... ${seconds(elapsedMs)}`;
      if (this.#out.isTTY) this.#out.write(`\r\x1b[K${line}`);
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
      const start = this.#out.isTTY ? "\r\x1b[K" : "";
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

  /** A line that is always shown. */
  say(line: string): void {
    this.#out.write(`${line}\n`);
  }

  /** Time since this was made, e.g. `12.3 s`. */
  elapsed(): string {
    return seconds(performance.now() - this.#startedAt);
  }
}

/** Milliseconds as a person reads them. */
export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
