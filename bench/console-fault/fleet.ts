import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Run } from "../lib/benchmark.ts";
import { BenchFleet, startUnwatched } from "../lib/fleet.ts";
import type { VmmInfo } from "../lib/report/machine.ts";

const HOSTS = 4;
const MACHINES_PER_HOST = 3;
/** Rounds in which each machine is started once, before and after the injection. */
const ROUNDS = 12;
/** Creates until each host has its machines; hosts are chosen by an auction. */
const MOST_MACHINES = 200;
/** A warm VM, give and take. */
const SIMULATED = { HOSTD_SIM_LATENCY: "30ms", HOSTD_SIM_JITTER: "10ms" };
const CONSOLE_LIMIT_MS = 60_000;
const POLL_MS = 200;

/** A fleet with a console, one host of which can be given a slow disk. */
export class FaultyFleet implements AsyncDisposable {
  readonly #fleet: BenchFleet;
  /** By the names of their hosts. */
  readonly #machines: ReadonlyMap<string, readonly string[]>;
  /** The host that is to be slow. */
  readonly victim: string;
  starts = 0;

  private constructor(fleet: BenchFleet, machines: ReadonlyMap<string, readonly string[]>, victim: string) {
    this.#fleet = fleet;
    this.#machines = machines;
    this.victim = victim;
  }

  static async open(run: Run): Promise<FaultyFleet> {
    const options = {
      ...{ hosts: HOSTS, console: true, environment: SIMULATED },
      preload: join(import.meta.dirname, "slow-disk.preload.ts"),
    };
    const fleet = await run.progress.step("a fleet with a console", () =>
      BenchFleet.start(options, run.folder, false, run.signal),
    );
    try {
      const machines = await run.progress.step("machines on each host", () => createOnAll(fleet, run.signal));
      // Any will do; the page does not know which.
      const [, victim = ""] = [...machines.keys()].toSorted();
      return new FaultyFleet(fleet, machines, victim);
    } catch (cause) {
      await fleet[Symbol.asyncDispose]();
      throw cause;
    }
  }

  vmm(): Promise<VmmInfo> {
    return this.#fleet.vmm();
  }

  /** Starts and stops every machine several times. */
  async startAll(run: Run, name: string): Promise<void> {
    const { clients } = this.#fleet;
    await run.repeat(
      name,
      ROUNDS,
      async () => {
        for (const ids of this.#machines.values()) {
          for (const id of ids) {
            await startUnwatched(clients, id);
            this.starts += 1;
          }
        }
        await Promise.all([...this.#machines.values()].flat().map((id) => clients.stop(id)));
      },
      0,
    );
  }

  /** Makes each commit on the victim take so much longer, from now on. */
  slowDown(ms: number): void {
    const { hosts, layout } = this.#fleet.services;
    const host = hosts.find(({ name }) => name === this.victim);
    if (!host) throw new Error(`the fleet has no host ${this.victim}`);
    writeFileSync(join(layout.ofHost(host.number, "hostd"), "slow-disk"), String(ms));
  }

  /** Waits until the console has all starts. */
  async untilSeen(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(CONSOLE_LIMIT_MS)]);
    for (;;) {
      const { all } = await this.#ask<{ all: { count: number } }>("/api/latency?kind=start", {}, deadline);
      if (all.count >= this.starts) return;
      await delay(POLL_MS, undefined, { signal: deadline });
    }
  }

  /** Returns a link that opens a session at a view, once. */
  async link(view: string): Promise<string> {
    const request = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ view }),
    };
    return (await this.#ask<{ url: string }>("/api/links", request)).url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
  }

  async #ask<T>(path: string, { headers, ...request }: RequestInit, signal?: AbortSignal): Promise<T> {
    const { console, token } = this.#fleet.services;
    const answer = await fetch(`${console}${path}`, {
      ...request,
      headers: { ...Object(headers), authorization: `Bearer ${token}` },
      ...(signal && { signal }),
    });
    if (!answer.ok) throw new Error(`the console answers ${answer.status}: ${await answer.text()}`);
    // The console is part of the same release.
    return (await answer.json()) as T;
  }
}

/** Creates machines until every host has its share. */
async function createOnAll(fleet: BenchFleet, signal: AbortSignal): Promise<ReadonlyMap<string, string[]>> {
  const machines = new Map<string, string[]>(fleet.services.hosts.map(({ name }) => [name, []]));
  for (let made = 0; made < MOST_MACHINES; made++) {
    signal.throwIfAborted();
    if ([...machines.values()].every((ids) => ids.length >= MACHINES_PER_HOST)) return machines;
    const { id, host } = await fleet.create();
    const ids = machines.get(host);
    if (ids && ids.length < MACHINES_PER_HOST) ids.push(id);
  }
  throw new Error(`${MOST_MACHINES} creates gave some host fewer than ${MACHINES_PER_HOST} machines`);
}
