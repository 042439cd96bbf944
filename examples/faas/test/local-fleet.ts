import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FunctionMachine } from "../src/functions.ts";
import { Problem } from "../src/problem.ts";
import type { FunctionFleet } from "../src/server/fleet.ts";
import type { Wanted } from "../src/server/ladder.ts";

const RUNNER = join(import.meta.dirname, "../runner/runner.mjs");

interface LocalMachine {
  readonly id: string;
  readonly region: string;
  readonly version: string;
  readonly source: string;
  child?: ChildProcess | undefined;
  isDestroyed?: boolean;
}

/** A fleet whose machines are processes with the real runner. */
export class LocalFleet implements FunctionFleet {
  readonly machines: LocalMachine[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "faas-test-"));
  readonly #idleMs: number;

  constructor({ idleMs = 60_000 } = {}) {
    this.#idleMs = idleMs;
  }

  /** Adds machines of a version, stopped. */
  deploy(version: string, source: string, regions: readonly string[]): void {
    for (const region of regions) {
      this.machines.push({ id: `${version}-${this.machines.length}`, region, version, source });
    }
  }

  async list(): Promise<readonly FunctionMachine[]> {
    return this.machines
      .filter(({ isDestroyed }) => !isDestroyed)
      .map(({ id, region, version, child }) => ({
        ...{ id, region, state: child ? "started" : "stopped" },
        config: this.#config(version) as never,
      }));
  }

  async *changes(): AsyncIterable<unknown> {}

  async configOf(id: string) {
    return this.#config(this.machines.find((each) => each.id === id)?.version ?? "") as never;
  }

  async acquire({ version, regions }: Wanted) {
    const stopped = this.machines.filter(
      (each) => each.version === version && !each.child && !each.isDestroyed,
    );
    const machine = stopped.toSorted((a, b) => regions.indexOf(a.region) - regions.indexOf(b.region))[0];
    if (machine === undefined) throw new Problem(503, "NO_MACHINE", "none", { retryAfterS: 2 });
    const port = await this.#start(machine);
    return {
      machine: { id: machine.id, region: machine.region, address: `127.0.0.1:${port}` },
      path: "warm",
    };
  }

  async stop(id: string): Promise<void> {
    const child = this.machines.find((each) => each.id === id)?.child;
    if (!child) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async destroy(id: string): Promise<void> {
    const machine = this.machines.find((each) => each.id === id);
    if (machine) machine.isDestroyed = true;
  }

  async logs(id: string): Promise<readonly string[]> {
    return [`line of ${id}`];
  }

  async close(): Promise<void> {
    await Promise.all(this.machines.map(({ id }) => this.stop(id)));
    rmSync(this.#folder, { recursive: true });
  }

  async #start(machine: LocalMachine): Promise<number> {
    const entry = join(this.#folder, `${machine.version}.mjs`);
    writeFileSync(entry, machine.source);
    const env = { FAAS_ENTRY: entry, FAAS_PORT: "0", FAAS_IDLE_MS: String(this.#idleMs) };
    const child = spawn(process.execPath, [RUNNER], { env, stdio: ["ignore", "pipe", "ignore"] });
    machine.child = child;
    child.once("exit", () => {
      machine.child = undefined;
    });
    let output = "";
    for await (const chunk of child.stdout) {
      output += chunk;
      const port = /listening on port (\d+)/.exec(output)?.[1];
      if (port !== undefined) return Number(port);
    }
    throw new Error(`the runner has ended: ${output}`);
  }

  #config(version: string) {
    const metadata = { function: "hello", version, live: "true" };
    return { metadata, env: { FAAS_IDLE_MS: String(this.#idleMs) } };
  }
}
