import { type Profiler, Session } from "node:inspector";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../tools/lib/paths.ts";

const SOURCES = pathToFileURL(`${ROOT}/src/`).href;

/** Tells which blocks of our code run, with V8's own coverage. One per process: V8 forgets blocks when it is started again. */
export class Coverage {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Returns the blocks that have run since the last call, each with how often, to a power of two. */
  take(): Map<string, number> {
    const blocks = new Map<string, number>();
    for (const { url, functions } of this.#post()) {
      if (!url.startsWith(SOURCES)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, count } of ranges) {
          if (count === 0) continue;
          blocks.set(`${url.slice(SOURCES.length)}:${startOffset}`, Math.ceil(Math.log2(count + 1)));
        }
      }
    }
    return blocks;
  }

  #post(): Profiler.ScriptCoverage[] {
    let result: Profiler.ScriptCoverage[] = [];
    // Answers before it returns, within one thread.
    this.#session.post("Profiler.takePreciseCoverage", (err, answer) => {
      if (err) throw err;
      result = answer.result;
    });
    return result;
  }
}

/** What has been reached so far. */
export class Reached {
  readonly #seen = new Set<string>();
  readonly #withCounts: boolean;

  /** @param withCounts whether a block that runs more often counts as another */
  constructor(withCounts: boolean) {
    this.#withCounts = withCounts;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Adds blocks. @returns whether any of them is new */
  add(blocks: ReadonlyMap<string, number>): boolean {
    const before = this.#seen.size;
    for (const [block, times] of blocks) this.#seen.add(this.#withCounts ? `${block} ${times}` : block);
    return this.#seen.size > before;
  }

  /** Whether any of the blocks is new. */
  isNew(blocks: ReadonlyMap<string, number>): boolean {
    return [...blocks].some(
      ([block, times]) => !this.#seen.has(this.#withCounts ? `${block} ${times}` : block),
    );
  }
}
