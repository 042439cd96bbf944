import childProcess from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/** What this process did since the watch began. */
export interface Watch {
  /** Names of the functions called, in order. */
  readonly calls: readonly string[];
  /** Ends it; from then on all is as before. */
  stop(): void;
}

/** Watches this very process for calls that wait for the file system, or that start a process. */
export function watchCalls(): Watch {
  const calls: string[] = [];
  const restore = [
    ...spy(fs, (name) => name.endsWith("Sync"), calls),
    ...spy(childProcess, (name) => /^(spawn|exec|fork)/.test(name), calls),
  ];
  // Names that were imported follow.
  syncBuiltinESMExports();
  return {
    calls,
    stop() {
      for (const undo of restore) undo();
      syncBuiltinESMExports();
    },
  };
}

/** Whether a process has `text` in its writable memory. */
export function holds(pid: number, text: string): boolean {
  const memory = fs.openSync(`/proc/${pid}/mem`, "r");
  const wanted = Buffer.from(text);
  try {
    return regions(pid).some(([from, to]) => contains(memory, from, to, wanted));
  } finally {
    fs.closeSync(memory);
  }
}

const WINDOW = 4 * 1024 * 1024;

function contains(memory: number, from: number, to: number, wanted: Buffer): boolean {
  const window = Buffer.alloc(WINDOW + wanted.length);
  for (let at = from; at < to; at += WINDOW) {
    // A little more, for what lies across.
    const length = Math.min(window.length, to - at);
    const read = readAt(memory, window, length, at);
    if (window.subarray(0, read).includes(wanted)) return true;
  }
  return false;
}

/** Guards and the like cannot be read, and hold nothing. */
function readAt(memory: number, into: Buffer, length: number, at: number): number {
  try {
    return fs.readSync(memory, into, 0, length, at);
  } catch {
    return 0;
  }
}

function regions(pid: number): [number, number][] {
  return fs
    .readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const found = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      return found ? [[Number.parseInt(found[1] ?? "", 16), Number.parseInt(found[2] ?? "", 16)]] : [];
    });
}

/** A module as a table of its functions; there is no other type for replacing them by name. */
type Functions = Record<string, (...args: never[]) => unknown>;

function spy(module: object, isWatched: (name: string) => boolean, calls: string[]): (() => void)[] {
  // Built-in modules are objects of functions, among other things.
  const functions = module as Functions;
  return Object.keys(module)
    .filter(isWatched)
    .map((name) => {
      const real = functions[name];
      functions[name] = (...args) => {
        calls.push(name);
        return real?.(...args);
      };
      return () => {
        if (real) functions[name] = real;
      };
    });
}
