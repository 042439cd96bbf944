import type { Ledger } from "../../capacity/ledger.ts";
import { type MachineId, savedMbOf } from "../../machines/machine.ts";
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
   * into its share. Returns whether it does.
   */
  make(org: string, keep: MachineId, neededMb: number): boolean {
    const limitMb = this.#parts.ledger.sums().capacity.diskMb * SNAPSHOT_SHARE;
    const others = [...this.#parts.store.all()].filter(
      ({ id, spec, snapshot }) => spec.org === org && id !== keep && snapshot?.name,
    );
    const oldestFirst = others.sort((a, b) => (a.snapshot?.usedAtMs ?? 0) - (b.snapshot?.usedAtMs ?? 0));
    let usedMb = others.reduce(
      (sum, { snapshot }) => sum + savedMbOf({ ...(snapshot ? { snapshot } : {}) }),
      0,
    );
    for (const { id, snapshot } of oldestFirst) {
      if (usedMb + neededMb <= limitMb) break;
      usedMb -= savedMbOf({ ...(snapshot ? { snapshot } : {}) });
      this.#drop(id);
    }
    return usedMb + neededMb <= limitMb;
  }
}
