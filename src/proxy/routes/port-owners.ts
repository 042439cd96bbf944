import type { PortNames } from "../route.ts";
import { namesOf, takesPort, takesPorts } from "./port-pool.ts";
import type { MachineRoute } from "./routes.ts";

/** Who has a port of proxies: an app for itself, or apps by their host names. Undefined: nobody. */
type PortOwner = string | PortNames | undefined;

interface Known {
  readonly owner: PortOwner;
  /** Change of the table that it was found after. */
  readonly version: number;
}

/**
 * The ports of proxies that services name for themselves. Whoever has one keeps it for as long as a
 * machine of it is there: otherwise any app could take connections that are meant for another.
 */
export class PortOwners {
  readonly #machinesOf: (app: string) => Iterable<MachineRoute>;
  /** Apps that have any such port. */
  readonly #apps = new Set<string>();
  readonly #known = new Map<number, Known>();
  #version = 0;

  constructor(machinesOf: (app: string) => Iterable<MachineRoute>) {
    this.#machinesOf = machinesOf;
  }

  /** Finds who has a port. Of several that want a free one, the first by name gets it. */
  at(port: number): PortOwner {
    const known = this.#known.get(port);
    if (known?.version === this.#version) return known.owner;
    const owner = this.#kept(known?.owner, port) ?? this.#first(port) ?? this.#names(port);
    this.#known.set(port, { owner, version: this.#version });
    return owner;
  }

  /** Notes who has a port that nobody was known to have: an app that wants it later does not get it. */
  claim(port: number): void {
    if (this.#known.get(port)?.owner === undefined) this.at(port);
  }

  /** Something about machines has changed. */
  changed(): void {
    this.#version += 1;
  }

  /** Looks anew whether an app has such ports. */
  refresh(app: string): void {
    if (this.#has(app, takesPorts)) this.#apps.add(app);
    else this.#apps.delete(app);
  }

  /** Returns who has which port, for the file: an app, or an empty text for all that are there by name. */
  dump(): readonly (readonly [port: number, app: string])[] {
    return [...this.#known].flatMap(([port, { owner }]) =>
      owner === undefined ? [] : [[port, typeof owner === "string" ? owner : ""] as const],
    );
  }

  /** Takes over what an earlier process knew. */
  restore(ports: readonly (readonly [port: number, app: string])[]): void {
    for (const [port, app] of ports) this.#known.set(port, { owner: app || NAMES, version: -1 });
  }

  #kept(before: PortOwner, port: number): PortOwner {
    if (before === undefined) return undefined;
    if (typeof before !== "string") return this.#names(port);
    return this.#has(before, (machine) => takesPort(machine, port)) ? before : undefined;
  }

  #first(port: number): string | undefined {
    let first: string | undefined;
    for (const app of this.#apps) {
      if (first !== undefined && app > first) continue;
      if (this.#has(app, (machine) => takesPort(machine, port))) first = app;
    }
    return first;
  }

  #names(port: number): PortNames | undefined {
    let [tls, http] = [false, false];
    for (const app of this.#apps) {
      for (const machine of this.#machinesOf(app)) {
        const names = namesOf(machine, port);
        tls ||= names?.tls ?? false;
        http ||= names?.http ?? false;
        if (tls && http) return { tls, http };
      }
    }
    return tls || http ? { tls, http } : undefined;
  }

  #has(app: string, is: (machine: MachineRoute) => boolean): boolean {
    for (const machine of this.#machinesOf(app)) if (is(machine)) return true;
    return false;
  }
}

/** Stands for whatever is there by name. */
const NAMES: PortNames = { tls: false, http: false };
