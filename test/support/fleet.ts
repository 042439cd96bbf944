import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Fleet } from "../../dev/fleet/fleet.ts";
import { type Layout, layoutOf } from "../../dev/settings/layout.ts";
import {
  type FleetSettings,
  firstRegion,
  privateSettings,
  type Routes,
} from "../../dev/settings/settings.ts";
import type { Part } from "../../dev/supervisor/part.ts";
import { findLeftovers } from "../../dev/supervisor/sweep.ts";
import { readKeys } from "../../src/lib/auth/key-directory.ts";
import type { SigningKey } from "../../src/lib/auth/keys.ts";
import { guestFolder } from "../../tools/lib/paths.ts";
import { temporaryFolder } from "./temporary.ts";

/** What kind of fleet a test wants. */
export interface TestFleetOptions {
  /** In each region. Default 2. */
  readonly hosts?: number;
  /** Default one. */
  readonly regions?: readonly string[];
  /** Replicas of each region's scheduler. Default 1. */
  readonly schedulers?: number;
  /** `sim`: no virtual machines. `real`: what this machine can do, emulated if need be. */
  readonly vmm?: "sim" | "real";
  /** Whether it has a web console. Default: no. */
  readonly console?: boolean;
  /** Variables for the services, e.g. `{ HOSTD_MEMORY_MB: "512" }`; those named after a service go to that service. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** A module that the services load first: something that watches them from within. */
  readonly preload?: string;
  /** Makes the routes between parts. `pid` returns a part's process number; undefined while it is down. */
  readonly routes?: (
    settings: FleetSettings,
    layout: Layout,
    pid: (name: PartName) => number | undefined,
  ) => Promise<Routes>;
  /** Ends the start. */
  readonly signal?: AbortSignal;
}

/**
 * Name of a part: `postgres`, `redis`, `registry`, `traces`, `api`, `scheduler`, `hostd-1`, `imagecache-1`, ...; a second replica's `scheduler-2`;
 * of a region after the first `api-gru`, `scheduler-gru`, `redis-gru`.
 */
export type PartName = string;

const START_TIMEOUT_MS = 180_000;

/** A whole fleet of one's own: real processes, free ports, a temporary folder. */
export class TestFleet {
  readonly #fleet: Fleet;
  readonly #remove: () => void;

  constructor(fleet: Fleet, remove: () => void) {
    this.#fleet = fleet;
    this.#remove = remove;
  }

  /** `host:port` of the public API; of the first region, when there are several. */
  get api(): string {
    return firstRegion(this.#fleet.settings).api;
  }

  /** `http://host:port` of the REST API; of the first region, when there are several. */
  get rest(): string {
    return `http://${firstRegion(this.#fleet.settings).rest}`;
  }

  /** Of the database of its apis. */
  get databaseUrl(): string {
    return this.part("api").spec.environment["DATABASE_URL"] ?? "";
  }

  /** The regions, the first one first: their apis and schedulers. */
  get regions(): Fleet["settings"]["regions"] {
    return this.#fleet.settings.regions;
  }

  /** `host:port` of the registry: what references to its images begin with. */
  get registry(): string {
    return this.#fleet.settings.registry;
  }

  /** `http://host:port` of the trace receiver. */
  get traces(): string {
    return `http://${this.#fleet.settings.traces}`;
  }

  /** `http://host:port` of the web console, in a fleet that has one. */
  get console(): string {
    return `http://${this.#fleet.settings.console}`;
  }

  /** Everything within the organisation `personal`, and administration. */
  get token(): string {
    return this.#fleet.token;
  }

  /** Addresses of the hosts, in the order of their numbers. */
  get hosts(): Fleet["settings"]["hosts"] {
    return this.#fleet.settings.hosts;
  }

  /** Where the fleet lives, e.g. to run `hover` with `WINDHOVER_DIR`. */
  get folder(): string {
    return this.#fleet.layout.folder;
  }

  /** Where everything of it lies. */
  get layout(): Fleet["layout"] {
    return this.#fleet.layout;
  }

  /** All its supervised processes. */
  get parts(): readonly Part[] {
    return this.#fleet.parts;
  }

  /** For minting tokens of other organisations. */
  get signingKeyFile(): string {
    return join(this.#fleet.layout.keysDir, "1.private.pem");
  }

  /** The newest key, for minting tokens. */
  get signingKey(): SigningKey {
    const newest = readKeys(this.#fleet.layout.keysDir, true).at(-1);
    if (!newest?.privateKey) throw new Error("the fleet has no key");
    return { id: newest.id, key: newest.privateKey };
  }

  /** A part's process number; undefined while it is down. */
  pid(name: PartName): number | undefined {
    return this.part(name).process?.pid;
  }

  /** Everything a part has logged. */
  log(name: PartName): string {
    return readFileSync(this.part(name).spec.logFile, "utf8");
  }

  /** Kills parts with -9 and leaves them down. */
  async kill(...names: readonly PartName[]): Promise<void> {
    await Promise.all(names.map((name) => this.part(name).kill()));
  }

  /** Kills parts with -9; the supervisor starts them again, and this resolves when they are ready. */
  async crash(...names: readonly PartName[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        await this.part(name).crash();
        await this.part(name).whenReady(60_000);
      }),
    );
  }

  /** Resolves when every host is attached to its schedulers and known to every api, as after a start. */
  awaitHosts(): Promise<void> {
    return this.#fleet.awaitHosts(AbortSignal.timeout(START_TIMEOUT_MS));
  }

  /** Asks parts to end and leaves them down. */
  async stop(...names: readonly PartName[]): Promise<void> {
    await Promise.all(names.map((name) => this.part(name).stop()));
  }

  /** Starts parts that are down; resolves when they are ready. */
  async start(...names: readonly PartName[]): Promise<void> {
    await Promise.all(names.map((name) => this.part(name).start()));
  }

  /** Asks parts to end and starts them again. */
  async restart(...names: readonly PartName[]): Promise<void> {
    await this.stop(...names);
    await this.start(...names);
  }

  /** Freezes parts: their connections stay, and nothing answers. */
  pause(...names: readonly PartName[]): void {
    for (const name of names) this.part(name).pause();
  }

  /** Lets frozen parts go on. */
  resume(...names: readonly PartName[]): void {
    for (const name of names) this.part(name).resume();
  }

  /** Has another program start parts, from their next start on: one that lets them see something else than everybody. */
  runBy(command: readonly string[], ...names: readonly PartName[]): void {
    for (const name of names) {
      const { spec } = this.part(name);
      // Who enters a namespace of users no longer dies with his parent, unless that is said again in there.
      const again = ["setpriv", `--pdeathsig=${spec.orphanSignal.slice(3)}`, "--"];
      // Read anew at every start.
      Object.assign(spec, { command: [...command, ...again, ...spec.command] });
    }
  }

  /** The supervised process itself. */
  part(name: PartName): Part {
    const part = this.#fleet.parts.find((each) => each.name === name);
    if (part === undefined) {
      throw new Error(`no part ${name}; there are ${this.#fleet.parts.map((each) => each.name).join(", ")}`);
    }
    return part;
  }

  /** Takes everything down and fails when a process outlives its orderly end. */
  async close(): Promise<void> {
    const leftovers: string[] = [];
    this.#fleet.once("swept", (pids) => leftovers.push(...pids.map(String)));
    await this.#fleet.stop();
    const { vms, postgres, others } = findLeftovers(this.#fleet.layout);
    leftovers.push(...[...vms, ...postgres, ...others].map(({ pid }) => String(pid)));
    this.#remove();
    if (leftovers.length > 0) throw new Error(`the fleet left processes behind: ${leftovers.join(", ")}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Starts a fleet; with `sim` hosts some four seconds. Close it in `afterAll`, or declare it with `await using`. */
export async function startFleet(options: TestFleetOptions = {}): Promise<TestFleet> {
  const scratch = temporaryFolder("fleet");
  const layout = layoutOf(scratch.path);
  const overrides = {
    LOG_LEVEL: process.env["LOG_LEVEL"],
    HOSTD_VMM: options.vmm === "real" ? "auto" : "sim",
    // Nobody measures here, and there are many fleets.
    ...{ API_WARM_UP_CALLS: "0", HOSTD_WARM_UP_CALLS: "0" },
    // Registries of tests.
    REGISTRY_ALLOW_PRIVATE: "127.0.0.1",
    ...options.environment,
  };
  const { hosts = 2, regions, schedulers } = options;
  const shape = { hosts, ...(regions ? { regions } : {}), ...(schedulers ? { schedulers } : {}) };
  const settings = await privateSettings(layout.folder, guestFolder(), shape, overrides, options.console);
  const { preload, signal } = options;
  const limit = AbortSignal.timeout(START_TIMEOUT_MS);
  let fleet: Fleet | undefined;
  const pid = (name: PartName) => fleet?.parts.find((part) => part.name === name)?.process?.pid;
  try {
    const routes = await options.routes?.(settings, layout, pid);
    fleet = new Fleet(layout, {
      ...settings,
      ...(routes ? { routes } : {}),
      ...(preload === undefined ? {} : { preload }),
    });
    await fleet.start(signal ? AbortSignal.any([signal, limit]) : limit);
    return new TestFleet(fleet, scratch.remove);
  } catch (cause) {
    scratch.remove();
    throw cause;
  }
}
