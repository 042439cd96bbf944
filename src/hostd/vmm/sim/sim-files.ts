import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFileSync } from "../../../lib/stores/durable-file.ts";
import type { VmExit } from "../vmm.ts";
import type { SimScript } from "./sim-script.ts";

/** A simulated VM as it is on disk. What it does follows from this and the time of day, with or without a hostd to watch. */
export interface SimRecord {
  /** Undefined until its process has been exec'ed. */
  readonly startedAtUs?: number;
  readonly script: Pick<SimScript, "runForMs" | "ending" | "onSignal">;
  /** Set when a signal, not the script, has ended it. */
  readonly exit?: VmExit;
}

/** A longer file is written anew, without what is over, when it is read. */
const LONGEST = 16 * 1_024 * 1_024;

/**
 * The records of all simulated VMs of a host: one file of lines, the last about a VM being the one that counts. Lines are appended synchronously,
 * which takes some ten microseconds; a file for each VM, made through the thread pool, would be most of what a simulated start costs.
 */
export class SimFiles {
  readonly #dir: string;
  readonly #path: string;

  constructor(dir: string) {
    this.#dir = dir;
    this.#path = join(dir, "vms.jsonl");
  }

  async write(vmId: string, record: SimRecord): Promise<void> {
    this.#append([vmId, record]);
  }

  async read(vmId: string): Promise<SimRecord | undefined> {
    return this.#all().get(vmId);
  }

  async remove(vmId: string): Promise<void> {
    this.#append([vmId, null]);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#all().keys()];
  }

  /** All at once and never beside a write, so that nothing is lost between reading the file and replacing it. */
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
    if (text.length > LONGEST) this.#replace(all);
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

  #replace(all: ReadonlyMap<string, SimRecord>): void {
    replaceFileSync(this.#path, [...all].map((entry) => `${JSON.stringify(entry)}\n`).join(""));
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

/** Undefined for what a process that was killed has left behind. */
function parse(line: string): Entry | undefined {
  if (line === "") return undefined;
  try {
    // Written by `#append`.
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}

/** How and when a VM's workload ends by itself; undefined: never, or not known yet. */
export function ownExit({ startedAtUs, script }: SimRecord): VmExit | undefined {
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
