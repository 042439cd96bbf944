import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
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

/** The records of all simulated VMs of a host, one file each, replaced in one step. */
export class SimFiles {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async write(vmId: string, record: SimRecord): Promise<void> {
    const path = this.#path(vmId);
    try {
      await writeFile(`${path}.new`, JSON.stringify(record));
    } catch (err) {
      if (!isMissing(err)) throw err;
      await mkdir(this.#dir, { recursive: true });
      await writeFile(`${path}.new`, JSON.stringify(record));
    }
    await rename(`${path}.new`, path);
  }

  async read(vmId: string): Promise<SimRecord | undefined> {
    try {
      // Written by `write`.
      return JSON.parse(await readFile(this.#path(vmId), "utf8")) as SimRecord;
    } catch (err) {
      if (isMissing(err)) return undefined;
      throw err;
    }
  }

  async remove(vmId: string): Promise<void> {
    await rm(this.#path(vmId), { force: true });
    await rm(`${this.#path(vmId)}.new`, { force: true });
  }

  async list(): Promise<readonly string[]> {
    try {
      const names = await readdir(this.#dir);
      return [...new Set(names.map((name) => name.replace(/\.json(\.new)?$/, "")))];
    } catch (err) {
      if (isMissing(err)) return [];
      throw err;
    }
  }

  #path(vmId: string): string {
    return join(this.#dir, `${vmId}.json`);
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
