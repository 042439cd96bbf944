import type { Ledger } from "../../capacity/ledger.ts";
import { type Machine, type MachineId, savedMbOf } from "../../machines/machine.ts";
import type { Store } from "../../store/store.ts";

export interface SnapshotRoomParts {
  readonly store: Pick<Store, "all">;
  readonly ledger: Pick<Ledger, "sums">;
}

/** Share of the disk that the snapshots of one organisation take. */
const SNAPSHOT_SHARE = 0.25;

/** The room that snapshots of an organisation have on a host. */
export class SnapshotRoom {
  readonly #parts: SnapshotRoomParts;
  readonly #drop: (id: MachineId) => void;

  /** @param drop removes the snapshot of a machine */
  constructor(parts: SnapshotRoomParts, drop: (id: MachineId) => void) {
    this.#parts = parts;
    this.#drop = drop;
  }

  /**
   * Removes the snapshots of an organisation that were not used for longest, until one more fits
   * into its share. Returns whether it does; otherwise none is removed.
   */
  make(org: string, keep: MachineId, neededMb: number): boolean {
    const limitMb = this.#parts.ledger.sums().capacity.diskMb * SNAPSHOT_SHARE;
    const others = [...this.#parts.store.all()].filter(
      ({ id, spec, snapshot }) => spec.org === org && id !== keep && snapshot?.name,
    );
    const oldestFirst = others.sort((a, b) => (a.snapshot?.usedAtMs ?? 0) - (b.snapshot?.usedAtMs ?? 0));
    let usedMb = others.reduce((sum, machine) => sum + sizeMb(machine), 0);
    const dropped: MachineId[] = [];
    for (const machine of oldestFirst) {
      if (usedMb + neededMb <= limitMb) break;
      if (isRead(machine)) continue;
      usedMb -= sizeMb(machine);
      dropped.push(machine.id);
    }
    if (usedMb + neededMb > limitMb) return false;
    for (const id of dropped) this.#drop(id);
    return true;
  }
}

function sizeMb({ snapshot }: Machine): number {
  return savedMbOf({ ...(snapshot ? { snapshot } : {}) });
}

/** Whether a VM reads a snapshot: its disk would stay taken. */
function isRead({ state, vmId, lastStartPath }: Machine): boolean {
  return vmId !== undefined && (state === "starting" || lastStartPath === "snapshot");
}
