import type { HeldLease } from "../../../src/api/leases/leases.ts";
import type { Machine, MachineConfig } from "../../../src/api/machines/machine.ts";
import type { MachineView } from "../../../src/api/machines/machines.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { Use } from "../services/api.ts";
import type { Random } from "../world/random.ts";
import { changedConfig } from "./configs.ts";

/** Asks any api for something. Rejects as the call does. */
export type Ask = <Res>(method: string, request: unknown, timeoutMs: number) => Promise<Res>;

/** What somebody can ask of a machine, the likely more than once. */
const USES = [
  ...["start", "start", "start", "stop", "stop", "restart", "update", "update", "update"],
  ...["lease", "lease", "lease", "cordon", "metadata", "signal", "suspend", "suspend"],
] as const;

/** What is asked of one that is to rest often. */
const RESTS = [
  ...["start", "start", "start", "suspend", "suspend", "suspend", "suspend"],
  ...["stop", "restart", "update", "lease", "signal"],
] as const;

/** One of those who use a machine. They know of each other only by what they are answered. */
export class Actor {
  readonly #name: string;
  readonly #machine: Machine;
  readonly #random: Random;
  readonly #ask: Ask;
  /** Of the lease that it has, or had. */
  #nonce: string | undefined;
  /** Versions that it has seen, the newest last. */
  readonly #versions: string[];
  #config: MachineConfig;
  /** Its last update that may be repeated, whatever came of it. */
  #update: Record<string, unknown> | undefined;
  #updates = 0;
  readonly #uses: readonly (typeof USES)[number][];

  /** @param suspendsMuch whether it has the machine suspended more than anything else */
  constructor(name: string, machine: Machine, random: Random, ask: Ask, suspendsMuch: boolean) {
    this.#uses = suspendsMuch ? RESTS : USES;
    this.#name = name;
    this.#machine = machine;
    this.#random = random;
    this.#ask = ask;
    this.#versions = [machine.instanceId ?? ""];
    this.#config = machine.config;
  }

  /** Uses the machine so often. What it comes to is for the invariants to say. */
  async use(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await sleep(this.#random.between(0, this.#random.pick([5, 50, 50, 500, 8_000])));
      await this.#once().catch(() => undefined);
    }
  }

  async #once(): Promise<void> {
    const random = this.#random;
    const leaseNonce = this.#shown();
    switch (random.chance(0.03) ? "destroy" : random.pick(this.#uses)) {
      case "start":
        return this.#call("startMachine", leaseNonce === "" ? {} : { leaseNonce });
      case "stop":
        return this.#call("stopMachine", { leaseNonce });
      case "suspend":
        return this.#call("suspendMachine", { leaseNonce });
      case "restart":
        return this.#call("restartMachine", { signal: "", forceStop: random.chance(0.3), leaseNonce });
      case "update":
        return this.#replace(leaseNonce);
      case "lease":
        return this.#lease();
      case "cordon":
        return this.#call("setMachineCordon", { cordoned: random.chance(0.5), leaseNonce });
      case "metadata":
        return this.#patch();
      case "signal":
        return this.#call("signalMachine", {
          signal: random.pick(["SIGHUP", "SIGTERM", "SIGKILL"]),
          leaseNonce,
        });
      default:
        return this.#call("destroyMachine", { leaseNonce });
    }
  }

  /** The nonce that it shows: its own, if it has one; sometimes it forgets to, or makes one up. */
  #shown(): string {
    if (this.#random.chance(0.1)) return this.#random.pick(["", "0".repeat(32)]);
    return this.#nonce ?? "";
  }

  async #replace(leaseNonce: string): Promise<void> {
    const random = this.#random;
    if (this.#update && random.chance(0.2)) {
      this.#sees(await this.#call<Machine>("updateMachine", { ...this.#update, leaseNonce }));
      return;
    }
    if (random.chance(0.5)) await this.#read();
    // Of those seen, an old one is what somebody has who has not read again.
    const currentVersion = random.pick(["", this.#versions.at(-1) ?? "", random.pick(this.#versions)]);
    const how = random.pick([{}, {}, { launch: true }, { skipLaunch: true }]);
    this.#config = changedConfig(this.#config, random);
    this.#updates += 1;
    const requestId = random.pick(["", `${this.#name}-update-${this.#updates}`]);
    const update = {
      ...{ config: this.#config, currentVersion, launch: false, skipLaunch: false, ...how },
      ...{ rollback: random.chance(0.6), readyTimeoutMs: random.pick([100, 2_000, 10_000]) },
      ...{ requestId, requestHash: requestId },
    };
    this.#update = requestId === "" ? undefined : update;
    this.#sees(await this.#call<Machine>("updateMachine", { ...update, leaseNonce }));
  }

  async #read(): Promise<void> {
    const { machine } = await this.#call<MachineView>("getMachine", {});
    this.#sees(machine);
  }

  #sees({ instanceId = "" }: Machine): void {
    if (this.#versions.at(-1) !== instanceId) this.#versions.push(instanceId);
  }

  async #lease(): Promise<void> {
    const random = this.#random;
    const ttlMs = random.pick([1_000, 3_000, 20_000]);
    const nonce = this.#nonce ?? "";
    if (nonce !== "" && random.chance(0.4)) {
      this.#nonce = undefined;
      return this.#call("releaseLease", { nonce });
    }
    // Whoever does not hear of a lease asks for it again.
    const requestId = random.pick(["", "lease-1", "lease-1", "lease-2"]);
    const lease = await this.#call<HeldLease>("acquireLease", {
      ...{ ttlMs, description: "", nonce: random.chance(0.8) ? nonce : "", requestId },
    });
    this.#nonce = lease.nonce;
  }

  #patch(): Promise<void> {
    const random = this.#random;
    const currentVersion = random.chance(0.3) ? random.pick(this.#versions) : "";
    const set = { [random.pick(["a", "b"])]: String(random.whole(1, 9)) };
    const remove = random.chance(0.3) ? ["c"] : [];
    return this.#call("updateMetadata", { set, remove, replace: random.chance(0.2), currentVersion });
  }

  #call<Res = void>(method: string, options: object): Promise<Res> {
    const use: Use = { machineId: this.#machine.id, org: this.#machine.org, user: this.#name, options };
    return this.#ask<Res>(method, use, this.#random.pick([300, 10_000, 30_000]));
  }
}
