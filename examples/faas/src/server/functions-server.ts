import { randomUUID } from "node:crypto";
import type { MachineConfig } from "@windhover/client";
import { currentFunctions, type DeployedFunction, type FunctionMachine, garbage } from "../functions.ts";
import { Problem } from "../problem.ts";
import { call } from "./call.ts";
import type { FunctionFleet } from "./fleet.ts";
import type { Limits } from "./places.ts";
import { type Lent, NotBegun, Pool } from "./pool.ts";

/** Settings of a server. */
export interface ServerSettings {
  readonly app: string;
  /** The nearest first. */
  readonly regions: readonly string[];
  /** Of each function. */
  readonly limits: Limits;
  /** For a machine to be there and ready. */
  readonly startMs: number;
  /** For one run. */
  readonly runMs: number;
  /** Machines of one version, launched ones included. */
  readonly maxMachines: number;
}

/** A call of a function. */
export interface Invocation {
  readonly name: string;
  readonly contentType: string | undefined;
  readonly body: Buffer;
}

/** How a run ended. */
export interface Result extends Lent {
  readonly runId: string;
  readonly version: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: Buffer;
  readonly runMs: number;
}

/** A version that is served. */
interface Served {
  readonly deployed: DeployedFunction;
  readonly pool: Pool;
  readonly config: MachineConfig;
}

const DEFAULT_IDLE_MS = 30_000;

/** Knows the functions of a fleet, and runs them. */
export class Functions {
  readonly #fleet: FunctionFleet;
  readonly #settings: ServerSettings;
  readonly #log: (entry: object) => void;
  #served = new Map<string, Served>();
  #refreshing: Promise<void> | undefined;

  constructor(fleet: FunctionFleet, settings: ServerSettings, log: (entry: object) => void) {
    this.#fleet = fleet;
    this.#settings = settings;
    this.#log = log;
  }

  /** Reads which functions there are, and destroys machines of old versions that rest. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Describes a function. @throws Problem `NO_SUCH_FUNCTION` */
  async describe(name: string): Promise<object> {
    const { deployed, pool } = await this.#find(name);
    const machines = deployed.machines.map(({ id, region, state }) => ({ id, region, state }));
    return { name, version: deployed.version, ...pool.counts, machines };
  }

  /** Reads the last lines that a function has written, by machine. */
  async logs(name: string, tail: number): Promise<string> {
    const { deployed } = await this.#find(name);
    const read = async ({ id }: FunctionMachine) =>
      (await this.#fleet.logs(id, tail)).map((line) => `${id} ${line}\n`);
    return (await Promise.all(deployed.machines.map(read))).flat().join("");
  }

  /** Runs a function once. The signal aborts when the caller has left. */
  async run({ name, contentType, body }: Invocation, left: AbortSignal): Promise<Result> {
    const { pool, deployed } = await this.#find(name);
    const runId = randomUUID();
    const headers = {
      "content-type": contentType ?? "application/json",
      "content-length": String(body.length),
      "x-faas-run": runId,
    };
    return await pool.run(async (lent) => {
      const sinceMs = performance.now();
      const timeout = AbortSignal.timeout(this.#settings.runMs);
      const invocation = { method: "POST", path: "/run", headers, body } as const;
      const signal = AbortSignal.any([left, timeout]);
      const answer = await call(lent.machine.address, invocation, signal).catch((err: unknown) => {
        if (timeout.aborted)
          throw new Problem(504, "RUN_TIMEOUT", `the run took longer than ${this.#settings.runMs} ms`);
        if (err instanceof NotBegun || left.aborted) throw err;
        throw new Problem(502, "RUN_LOST", `machine ${lent.machine.id} ended during the run`, { cause: err });
      });
      if (answer.status === 503 && answer.body.includes('"BUSY"'))
        throw new NotBegun(`${lent.machine.id} is busy`);
      const runMs = performance.now() - sinceMs;
      const { status, headers: got, body: output } = answer;
      return {
        ...lent,
        runId,
        version: deployed.version,
        status,
        contentType: got["content-type"],
        body: output,
        runMs,
      };
    }, left);
  }

  async #find(name: string): Promise<Served> {
    if (!this.#served.has(name)) await this.refresh();
    const served = this.#served.get(name);
    if (served) return served;
    const known = [...this.#served.keys()].join(", ") || "none";
    throw new Problem(404, "NO_SUCH_FUNCTION", `there is no function "${name}"; there are: ${known}`);
  }

  async #refresh(): Promise<void> {
    const machines = await this.#fleet.list();
    const current = currentFunctions(machines);
    const next = new Map<string, Served>();
    for (const [name, deployed] of current) {
      const before = this.#served.get(name);
      const isSame = before?.deployed.version === deployed.version;
      const served = isSame ? { ...before, deployed } : await this.#serve(deployed);
      if (served === undefined) continue;
      for (const { id, state } of deployed.machines) if (state !== "started") served.pool.forget(id);
      next.set(name, served);
    }
    this.#served = next;
    for (const { id } of garbage(machines, current)) {
      this.#fleet.destroy(id).then(
        () => this.#log({ message: "destroyed a machine of an old version", machine: id }),
        (err: unknown) =>
          this.#log({
            message: "a machine of an old version is still there",
            machine: id,
            error: String(err),
          }),
      );
    }
  }

  async #serve(deployed: DeployedFunction): Promise<Served | undefined> {
    const [machine] = deployed.machines;
    const config = machine && (await this.#fleet.configOf(machine.id));
    if (config === undefined) return undefined;
    const { limits, startMs } = this.#settings;
    const idleMs = Number(config.env["FAAS_IDLE_MS"] ?? DEFAULT_IDLE_MS);
    const acquire = async (left: AbortSignal) => {
      const timeout = AbortSignal.timeout(startMs);
      try {
        return await this.#fleet.acquire(
          this.#wanted(deployed.name, deployed.version, config),
          AbortSignal.any([left, timeout]),
        );
      } catch (err) {
        if (!timeout.aborted || left.aborted) throw err;
        throw new Problem(503, "START_TIMEOUT", `no machine was ready within ${startMs} ms`, {
          retryAfterS: 2,
          cause: err,
        });
      }
    };
    const discard = ({ id }: { readonly id: string }) => {
      this.#fleet
        .stop(id)
        .catch((err: unknown) =>
          this.#log({ message: "a machine could not be stopped", machine: id, error: String(err) }),
        );
    };
    this.#log({ message: "serving", function: deployed.name, version: deployed.version });
    return { deployed, config, pool: new Pool({ limits, idleMs, acquire, discard }) };
  }

  #wanted(name: string, version: string, config: MachineConfig) {
    const { app, regions, maxMachines } = this.#settings;
    const count = this.#served.get(name)?.deployed.machines.length ?? 0;
    return { app, function: name, version, regions, config: count < maxMachines ? config : undefined };
  }
}
