import { within } from "../../../lib/runtime/wait.ts";
import type { CallLimits } from "../../requests/caller.ts";
import { mergeNewest } from "../history/merge-newest.ts";
import type { HostDirectory } from "../host/host-address.ts";
import { hostNumberOf, parseMachineId } from "../ids/machine-id.ts";
import type { HostStatus, Machine } from "../machine.ts";
import { isNewer } from "../machine.ts";
import type { HostMachines } from "../machines.ts";
import type { ListedMachine } from "./list-store.ts";

/** How long a list waits for hosts, in all. */
const FRESH_LIMIT_MS = 250;
/** Ids that hostd takes in one call. */
const MAX_IDS = 1_000;

export interface FreshHosts {
  readonly directory: HostDirectory;
  readonly hosts: Pick<HostMachines, "getMachines">;
  nowMs(): number;
}

/** A machine of a list. With `hostStatus`: its host has answered. */
export type FreshMachine = ListedMachine & { readonly hostStatus?: HostStatus };

/** Reads the states of a list's machines from their hosts, for at most 250 ms. */
export class FreshRead {
  readonly #parts: FreshHosts;
  readonly #limits: CallLimits;
  readonly #events: number;
  readonly #unanswered = new Set<string>();
  readonly #untilMs: number;

  /** @param events of each machine, at most */
  constructor(parts: FreshHosts, limits: CallLimits, events: number) {
    this.#parts = parts;
    this.#limits = limits;
    this.#events = events;
    this.#untilMs = parts.nowMs() + FRESH_LIMIT_MS;
  }

  /** Whether the time to ask hosts is over. */
  get isOver(): boolean {
    return this.#leftMs < 1;
  }

  /** Regions of machines whose host has not answered. */
  get unansweredRegions(): string[] {
    return [...this.#unanswered].sort();
  }

  /** Returns the machines as their hosts have them; unchanged when a host does not answer. */
  async refresh(listed: readonly ListedMachine[]): Promise<readonly FreshMachine[]> {
    const live = listed.filter(({ machine }) => machine.state !== "destroyed");
    const byHost = Map.groupBy(live, ({ machine }) => {
      const id = parseMachineId(machine.id);
      return id === undefined ? -1 : hostNumberOf(id);
    });
    const answers = await Promise.all([...byHost].map(([number, group]) => this.#ask(number, group)));
    const answered = new Map(answers.flatMap((answer) => [...answer]));
    return listed.map((each) => {
      const host = answered.get(each.machine.id);
      if (host === undefined) return each;
      if (host === "absent") return { ...each, hostStatus: "ok" };
      return { ...each, machine: this.#newest(each.machine, host), hostStatus: "ok" };
    });
  }

  /** Asks one host. Returns nothing when it does not answer in time. */
  async #ask(
    number: number,
    listed: readonly ListedMachine[],
  ): Promise<ReadonlyMap<string, Omit<Machine, "config"> | "absent">> {
    const remainingMs = Math.min(this.#leftMs, this.#limits.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      if (remainingMs < 1) throw new Error("it is not asked");
      const { directory } = this.#parts;
      const find = () => directory.find(number);
      const host = directory.get(number) ?? (await within(remainingMs, "looking for a host", find));
      if (!host) throw new Error("it is not known");
      const ids = listed.map(({ machine }) => machine.id);
      const answers: Omit<Machine, "config">[] = [];
      for (let at = 0; at < ids.length; at += MAX_IDS) {
        const some = ids.slice(at, at + MAX_IDS);
        answers.push(...(await this.#parts.hosts.getMachines(host, some, { ...this.#limits, remainingMs })));
      }
      const found = new Map(answers.map((machine) => [machine.id, machine]));
      return new Map(ids.map((id) => [id, found.get(id) ?? "absent"]));
    } catch {
      for (const { machine } of listed) this.#unanswered.add(machine.region);
      return new Map();
    }
  }

  #newest(stored: Machine, host: Omit<Machine, "config">): Machine {
    if (isNewer(stored, host)) return stored;
    return { ...stored, ...host, events: mergeNewest(host.events, stored.events, "", this.#events) };
  }

  get #leftMs(): number {
    return this.#untilMs - this.#parts.nowMs();
  }
}
