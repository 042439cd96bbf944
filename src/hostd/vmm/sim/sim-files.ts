import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../../lib/stores/durable-file.ts";
import type { StartPath, VmExit } from "../vmm.ts";
import type { SimScript } from "./sim-script.ts";

/** A simulated VM on disk. This and the time of day define its behaviour, also without a hostd. */
export interface SimRecord {
  /** Undefined until its process has been exec'ed. */
  readonly startedAtUs?: number;
  readonly script: Pick<SimScript, "runForMs" | "ending" | "onSignal" | "isDeaf">;
  /** Absent: cold. */
  readonly startPath?: StartPath;
  /** Set when a signal, not the script, has ended it. */
  readonly exit?: VmExit;
}

/** A longer file is compacted when it is read. */
const MAX_CHARS = 16 * 1_024 * 1_024;

/**
 * The records of all simulated VMs of a host: one file of lines, of which the last about a VM
 * counts. A line is appended synchronously, in some ten microseconds; a file for each VM would be
 * most of what a simulated start costs.
 */
export class SimFiles {
  readonly #dir: string;
  readonly #path: string;

  constructor(dir: string) {
    this.#dir = dir;
    this.#path = join(dir, "vms.jsonl");
  }

  write(vmId: string, record: SimRecord): void {
    this.#append([vmId, record]);
  }

  read(vmId: string): SimRecord | undefined {
    return this.#all().get(vmId);
  }

  remove(vmId: string): void {
    this.#append([vmId, null]);
  }

  list(): readonly string[] {
    return [...this.#all().keys()];
  }

  #all(): ReadonlyMap<string, SimRecord> {
    const all = new Map<string, SimRecord>();
    const text = this.#text();
    for (const line of text.split("\n")) {
      const entry = parse(line);
      if (!entry) continue;
      const [vmId, record] = entry;
      if (record) all.set(vmId, record);
      else all.delete(vmId);
    }
    if (text.length > MAX_CHARS) {
      replaceFileSync(this.#path, [...all].map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    }
    return all;
  }

  #text(): string {
    try {
      return readFileSync(this.#path, "utf8");
    } catch (err) {
      if (isMissing(err)) return "";
      throw err;
    }
  }

  #append(entry: Entry): void {
    const line = `${JSON.stringify(entry)}\n`;
    try {
      appendFileSync(this.#path, line);
    } catch (err) {
      if (!isMissing(err)) throw err;
      mkdirSync(this.#dir, { recursive: true });
      appendFileSync(this.#path, line);
    }
  }
}

type Entry = readonly [vmId: string, record: SimRecord | null];

/** Undefined for a line that a killed process did not complete. */
function parse(line: string): Entry | undefined {
  try {
    // Written by `#append`.
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}

/** Returns how and when a VM's workload ends by itself; undefined: never, or it has not started. */
export function scriptedExit({ startedAtUs, script }: SimRecord): VmExit | undefined {
  const { runForMs, ending } = script;
  if (startedAtUs === undefined || runForMs === undefined) return undefined;
  const exitedAtUs = startedAtUs + runForMs * 1_000;
  switch (ending.kind) {
    case "exit":
      return { kind: "process", exitCode: ending.code, oomKilled: false, exitedAtUs };
    case "oom":
      return { kind: "process", signal: 9, oomKilled: true, exitedAtUs };
    case "lost":
      return { kind: "vm_lost", oomKilled: false, exitedAtUs, detail: "simulated" };
  }
}

function isMissing(err: unknown): boolean {
  return err instanceof Error && "code" in err && err.code === "ENOENT";
}
