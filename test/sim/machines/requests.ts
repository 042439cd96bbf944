import type { Change } from "../../../src/hostd/machines/machine.ts";
import type { Store } from "../../../src/hostd/store/store.ts";
import type { Watch } from "../watch.ts";
import type { Life } from "../world/world.ts";

/** A host that requests reach, and the life that it has. */
interface RequestedHost {
  readonly now: { readonly life: Life; readonly store: Pick<Store, "get"> } | undefined;
}

/** A request that is being answered. `isRelied`: its proxy may rely on its use. */
interface Open {
  readonly isRelied: () => boolean;
}

/** How a machine is told that is on its way to rest, by what event that begins, and the word for it. */
const RESTING = [
  { state: "stopping", type: "stop", word: "stopped" },
  { state: "suspending", type: "suspend", word: "suspended" },
] as const;

/** Looks on at requests, stops and suspends: no request may meet a machine that is stopped or suspended for being idle. */
export class Requests {
  readonly #watch: Watch;
  readonly #open = new Map<string, Set<Open>>();
  /** Stops and suspends that hosts are storing. */
  readonly #leaving = new Map<string, RequestedHost>();
  /** How many requests have begun, and how many stops and suspends: a plan without them shows nothing. */
  begun = 0;
  rests = 0;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  /** A request reaches a machine. Returns a function for its end. */
  begin(host: RequestedHost, machineId: string, isRelied: () => boolean): () => void {
    this.begun += 1;
    const machine = host.now?.store.get(machineId);
    const resting = RESTING.find(({ state }) => state === machine?.state);
    const last = machine?.events.find(({ type, source }) => type === resting?.type && source !== "hostd");
    if (this.#leaving.get(machineId) === host || last?.source === "proxy")
      this.#watch.violated(
        `a request meets ${machineId}, which is ${resting?.word ?? "ended"} for being idle`,
      );
    const request = { isRelied };
    const open = this.#open.get(machineId) ?? new Set();
    this.#open.set(machineId, open.add(request));
    return () => open.delete(request);
  }

  /** A host is about to store a change. */
  changing(host: RequestedHost, { machine, event }: Change): void {
    this.#leaving.delete(machine.id);
    const resting = RESTING.find(({ state, type }) => state === machine.state && type === event?.type);
    if (!resting || event?.source !== "proxy") return;
    this.rests += 1;
    this.#leaving.set(machine.id, host);
    host.now?.life.onDeath(() => this.#leaving.delete(machine.id));
    for (const request of this.#open.get(machine.id) ?? [])
      if (request.isRelied())
        this.#watch.violated(`${machine.id} is ${resting.word} for being idle, and has a request`);
  }
}
