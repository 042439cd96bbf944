import { AcquireStore } from "../../../src/api/acquire/acquire-store.ts";
import { IntentStore } from "../../../src/api/creates/store/intent-store.ts";
import { SagaStore } from "../../../src/api/creates/store/saga-store.ts";
import type { Transactions } from "../../../src/api/database/gated-database.ts";
import { LeaseStore } from "../../../src/api/database/lease-store.ts";
import { HostStore } from "../../../src/api/hosts/host-store.ts";
import { HistoryStore } from "../../../src/api/machines/history/history-store.ts";
import { MachineStore } from "../../../src/api/machines/machine-store.ts";
import { UpdateStore } from "../../../src/api/updates/update-store.ts";
import { OWNERS } from "./postgres-records.ts";

/** The stores of an api on one database. */
export interface Stores {
  readonly intents: IntentStore;
  readonly sagas: SagaStore;
  readonly machines: MachineStore;
  readonly hosts: HostStore;
  readonly leases: readonly LeaseStore[];
  readonly updates: UpdateStore;
  readonly acquires: readonly AcquireStore[];
  readonly history: HistoryStore;
}

export function storesOn(db: Transactions): Stores {
  return {
    intents: new IntentStore(db),
    sagas: new SagaStore(db),
    machines: new MachineStore(db),
    hosts: new HostStore(db),
    leases: [new LeaseStore(db), new LeaseStore(db)],
    updates: new UpdateStore(db),
    acquires: OWNERS.map((owner) => new AcquireStore(db, owner)),
    history: new HistoryStore(db),
  };
}

/** A call that the stores of both databases are asked for. */
export interface Call {
  readonly name: string;
  readonly ask: (stores: Stores) => Promise<unknown>;
}
