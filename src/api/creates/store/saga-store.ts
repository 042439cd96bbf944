import { Fault } from "../../../lib/faults/fault.ts";
import type { Transactions } from "../../database/gated-database.ts";
import type { CreateState } from "./create-state.ts";
import type { StepProgress } from "./progress.ts";
import { type SagaWrite, type SagaWriteResult, sagaWrite } from "./saga-write.ts";
import { SAGA_COLUMNS, type StoredSaga } from "./stored-saga.ts";

/** A saga and its owner. Writes take effect only while the owner has the saga. */
export interface Ownership {
  readonly id: string;
  readonly owner: string;
}

/** A create that has ended in doubt. */
export interface InDoubtCreate {
  readonly id: string;
  readonly state: CreateState;
  /** Milliseconds since it ended, by Postgres' clock. */
  readonly endedMs: number;
}

/** Creates in the database. All apis share them; each create has one owner, by a lease. */
export class SagaStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** @throws Fault `LEASE_LOST` */
  async renew({ id, owner }: Ownership, leaseMs: number): Promise<void> {
    const { rowCount } = await this.#db.query({
      name: "saga_renew",
      text: `update sagas set lease_time = now() + $3 * interval '1 millisecond' where id = $1 and owner = $2`,
      values: [id, owner, leaseMs],
    });
    if (rowCount === 0) throw leaseLost(id);
  }

  /**
   * Stores the progress of a run, in one round trip.
   *
   * @throws Fault `LEASE_LOST`; `MACHINE_DESTROYED` when the machine to commit has been destroyed
   */
  async write({ id, owner }: Ownership, write: SagaWrite): Promise<void> {
    const { rows } = await this.#db.query<SagaWriteResult>(sagaWrite(id, owner, write));
    const { owned, placed, described } = rows[0] ?? { owned: 0, placed: 0, described: 0 };
    if (owned === 0 || (write.attempt && placed === 0)) throw leaseLost(id);
    if (write.machine && write.isCommitted && described === 0) throw machineDestroyed(write.machine.id);
  }

  /** Takes over unfinished sagas whose lease has ended. */
  async claim(owner: string, leaseMs: number, limit: number): Promise<readonly StoredSaga[]> {
    const { rows } = await this.#db.query<StoredSaga>({
      name: "saga_claim",
      text: `update sagas set owner = $1, lease_time = now() + $2 * interval '1 millisecond'
              where id in (select id from sagas where status in ('running', 'undoing', 'stuck') and lease_time < now()
                            order by lease_time limit $3 for update skip locked)
          returning ${SAGA_COLUMNS}`,
      values: [owner, leaseMs, limit],
    });
    return rows;
  }

  /** Reads the newest create with this request id. */
  async find(org: string, requestId: string): Promise<StoredSaga | undefined> {
    const { rows } = await this.#db.query<StoredSaga>({
      name: "saga_find",
      text: `select ${SAGA_COLUMNS} from sagas where org = $1 and request_id = $2 order by create_time desc limit 1`,
      values: [org, requestId],
    });
    return rows[0];
  }

  async get(id: string): Promise<StoredSaga | undefined> {
    const { rows } = await this.#db.query<StoredSaga>({
      name: "saga_get",
      text: `select ${SAGA_COLUMNS} from sagas where id = $1`,
      values: [id],
    });
    return rows[0];
  }

  /** Reads the progress of a create, from sequence `from` on. */
  async steps(id: string, from: number): Promise<readonly StepProgress[]> {
    const { rows } = await this.#db.query<StepProgress>({
      name: "saga_steps",
      text: `select sequence, step, status, detail, bytes_done::float8 as "bytesDone", bytes_total::float8 as "bytesTotal",
                    floor(extract(epoch from time) * 1000)::float8 as "timeMs"
               from saga_steps where saga_id = $1 and sequence >= $2 order by sequence`,
      values: [id, from],
    });
    return rows;
  }

  /** Takes creates in doubt that are due. They are due again after half their age, 2 s to 5 min. */
  async claimInDoubt(limit: number): Promise<readonly InDoubtCreate[]> {
    const { rows } = await this.#db.query<InDoubtCreate>({
      name: "saga_claim_in_doubt",
      text: `update sagas
                set resolve_time = now() + least(greatest((now() - update_time) / 2, interval '2 seconds'), interval '5 minutes')
              where id in (select id from sagas where resolve_time < now() order by resolve_time limit $1 for update skip locked)
          returning id, state, floor(extract(epoch from now() - update_time) * 1000)::float8 as "endedMs"`,
      values: [limit],
    });
    return rows;
  }

  async markResolved(id: string): Promise<void> {
    await this.#db.query({
      name: "saga_mark_resolved",
      text: "update sagas set resolve_time = null where id = $1",
      values: [id],
    });
  }

  async countStuck(): Promise<number> {
    const { rows } = await this.#db.query<{ count: number }>({
      name: "saga_count_stuck",
      text: "select count(*)::int as count from sagas where status = 'stuck'",
    });
    return rows[0]?.count ?? 0;
  }
}

function leaseLost(id: string): Fault {
  return new Fault("ABORTED", "LEASE_LOST", "another api has taken over this create", { create_id: id });
}

function machineDestroyed(id: string): Fault {
  const message = `machine ${id} was destroyed while it was created`;
  return new Fault("ABORTED", "MACHINE_DESTROYED", message, { machine_id: id });
}
