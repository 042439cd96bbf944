/**
 * Loaded before the code of a service: makes a host's disk slow. Each commit of its store takes as many milliseconds
 * more as the file `slow-disk` in its folder says, as long as there is one. The thread of the store waits, as it does for a
 * disk that is slow to sync.
 */
import { readFileSync } from "node:fs";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type * as Threads from "node:worker_threads";

const folder = process.env["HOSTD_DIR"];

if (folder !== undefined) {
  loadInThreads();
  const { exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (sql) {
    if (sql === "commit") wait(delayMs(join(folder, "slow-disk")));
    exec.call(this, sql);
  };
}

/** Threads load nothing first by themselves. */
function loadInThreads(): void {
  const threads: { Worker: typeof Threads.Worker } = createRequire(import.meta.url)("node:worker_threads");
  threads.Worker = class extends threads.Worker {
    constructor(file: string | URL, options: Threads.WorkerOptions = {}) {
      super(file, { ...options, execArgv: ["--import", import.meta.filename] });
    }
  };
  syncBuiltinESMExports();
}

function delayMs(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}

function wait(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
