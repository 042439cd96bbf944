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

/** Looks on at requests and stops: no request may meet a machine that is stopped for being idle. */
export class Requests {
  readonly #watch: Watch;
  readonly #open = new Map<string, Set<Open>>();
  /** Stops that hosts are storing. */
  readonly #stopping = new Map<string, RequestedHost>();
  /** How many requests have begun, and how many idle stops: a plan without them shows nothing. */
  begun = 0;
  stops = 0;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  /** A request reaches a machine. Returns a function for its end. */
  begin(host: RequestedHost, machineId: string, isRelied: () => boolean): () => void {
    this.begun += 1;
    const machine = host.now?.store.get(machineId);
    const isStopping =
      this.#stopping.get(machineId) === host ||
      (machine?.state === "stopping" &&
        machine.events.find(({ type }) => type === "stop")?.source === "proxy");
    if (isStopping) this.#watch.violated(`a request meets ${machineId}, which is stopped for being idle`);
    const request = { isRelied };
    const open = this.#open.get(machineId) ?? new Set();
    this.#open.set(machineId, open.add(request));
    return () => open.delete(request);
  }

  /** A host is about to store a change. */
  changing(host: RequestedHost, { machine, event }: Change): void {
    this.#stopping.delete(machine.id);
    if (machine.state !== "stopping" || event?.type !== "stop" || event.source !== "proxy") return;
    this.stops += 1;
    this.#stopping.set(machine.id, host);
    host.now?.life.onDeath(() => this.#stopping.delete(machine.id));
    for (const request of this.#open.get(machine.id) ?? [])
      if (request.isRelied())
        this.#watch.violated(`${machine.id} is stopped for being idle, and has a request`);
  }
}
