import { onAbort } from "../../lib/runtime/abort.ts";
import type { Hosts } from "../hosts/hosts.ts";
import type { Address, MachineView } from "../hosts/machine-view.ts";
import type { Loads } from "../machines/loads.ts";
import { mayHaveConnections } from "../machines/machine-state.ts";
import type { Place, Wake } from "../route.ts";
import type { Member } from "../routes/port-pool.ts";

/** A place that is counted, and perhaps not usable yet. */
export interface Hold {
  readonly member: Member;
  /** Safe to call twice. */
  free(): void;
}

export interface PlacesParts {
  readonly hosts: Hosts;
  readonly loads: Loads;
  /** A machine has a place more. */
  freed(machineId: string): void;
  refused(machineId: string): void;
}

/** The places that requests have at machines. */
export class Places {
  readonly #parts: PlacesParts;
  /** For machines with requests. */
  readonly #gone = new Map<string, { readonly abort: AbortController; count: number }>();

  constructor(parts: PlacesParts) {
    this.#parts = parts;
  }

  /** Counts a place, and tells the machine's host that it is used. */
  hold(member: Member): Hold {
    const { hosts, loads, freed } = this.#parts;
    const { id } = member.machine;
    const { internalPort } = member.service;
    const uses = hosts.linkOf(id)?.uses;
    loads.add(id, internalPort);
    uses?.begin(id);
    let isHeld = true;
    return {
      member,
      free: () => {
        if (!isHeld) return;
        isHeld = false;
        loads.remove(id, internalPort);
        uses?.end(id);
        freed(id);
      },
    };
  }

  /** Waits until the host has acknowledged the use, or cannot. @throws the reason of `signal` */
  async known({ member }: Hold, signal: AbortSignal): Promise<void> {
    const uses = this.#parts.hosts.linkOf(member.machine.id)?.uses;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!uses?.whenKnown(member.machine.id, resolve)) return;
    using _ = onAbort(signal, () => reject(signal.reason));
    await promise;
  }

  place(hold: Hold, view: MachineView & { readonly address: Address }, wake: Wake | undefined): Place {
    const { id, region } = hold.member.machine;
    const gone = this.#gone.get(id) ?? { abort: new AbortController(), count: 0 };
    gone.count += 1;
    this.#gone.set(id, gone);
    let isHeld = true;
    return {
      ...{ machineId: id, instanceId: view.instanceId, region, address: view.address, wake },
      gone: gone.abort.signal,
      refused: () => this.#parts.refused(id),
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        gone.count -= 1;
        if (gone.count === 0 && this.#gone.get(id) === gone) this.#gone.delete(id);
        hold.free();
      },
    };
  }

  /** The host has told something of a machine: ends its connections when it is there no more. */
  viewChanged(machineId: string, view: MachineView | undefined): void {
    if (!view || mayHaveConnections(view.state)) return;
    const gone = this.#gone.get(machineId);
    this.#gone.delete(machineId);
    gone?.abort.abort(new Error(`machine ${machineId} is ${view.state}`));
  }
}
