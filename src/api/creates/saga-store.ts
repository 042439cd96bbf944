import { Fault } from "../../lib/runtime/fault.ts";
import type { Queries, Statement } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { SAGA_COLUMNS, type SagaRow, type StoredSaga, toSaga } from "./saga-row.ts";
import { type SagaWrite, type SagaWritten, sagaWrite } from "./saga-write.ts";
import type { CreateState } from "./steps/create-state.ts";
import type { StepProgress } from "./steps/progress.ts";

/** A saga and who runs it: every write says so, and counts only while that is true. */
export interface Ownership {
  readonly id: string;
  readonly owner: string;
}

/** A create that has ended, and how long ago, by Postgres' clock. */
export interface InDoubt {
  readonly id: string;
  readonly state: CreateState;
  readonly endedMs: number;
}

/** Creates under way. Several apis share them: one owns each, for the length of a lease that it renews. */
export class SagaStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** Renews a lease. @throws Fault `LEASE_LOST` */
  renew({ id, owner }: Ownership, leaseMs: number): Promise<void> {
    return owned(this.#db, {
      name: "saga_renew",
      text: `update sagas set lease_time = now() + $3 * interval '1 millisecond' where id = $1 and owner = $2`,
      values: [id, owner, leaseMs],
    });
  }

  /**
   * Stores what a run has come to, in one round trip.
   *
   * @throws Fault `LEASE_LOST`; `MACHINE_DESTROYED` when the machine was to be recorded and somebody has destroyed it meanwhile
   */
  async write({ id, owner }: Ownership, write: SagaWrite): Promise<void> {
    const { rows } = await this.#db.query<SagaWritten>(sagaWrite(id, owner, write));
    const { owned: ownedRows, placed, recorded } = rows[0] ?? { owned: 0, placed: 0, recorded: 0 };
    if (ownedRows === 0 || (write.attempt && placed === 0)) throw leaseLost(id);
    if (write.machine && write.isRecorded && recorded === 0) throw machineDestroyed(write.machine.id);
  }

  /** Takes over sagas whose owner is gone, or whose time to be tried again has come. */
  async claim(owner: string, leaseMs: number, limit: number): Promise<readonly StoredSaga[]> {
    const { rows } = await this.#db.query<SagaRow>({
      name: "saga_claim",
      text: `update sagas set owner = $1, lease_time = now() + $2 * interval '1 millisecond'
              where id in (select id from sagas where status in ('running', 'undoing', 'stuck') and lease_time < now()
                            order by lease_time limit $3 for update skip locked)
          returning ${SAGA_COLUMNS}`,
      values: [owner, leaseMs, limit],
    });
    return rows.map(toSaga);
  }

  /** The newest create with this request id. */
  async find(org: string, requestId: string): Promise<StoredSaga | undefined> {
    const { rows } = await this.#db.query<SagaRow>({
      name: "saga_find",
      text: `select ${SAGA_COLUMNS} from sagas where org = $1 and request_id = $2 order by create_time desc limit 1`,
      values: [org, requestId],
    });
    return rows[0] && toSaga(rows[0]);
  }

  /** A create by its own id. */
  async get(id: string): Promise<StoredSaga | undefined> {
    const { rows } = await this.#db.query<SagaRow>({
      name: "saga_get",
      text: `select ${SAGA_COLUMNS} from sagas where id = $1`,
      values: [id],
    });
    return rows[0] && toSaga(rows[0]);
  }

  /** Its progress, from this sequence on. */
  async steps(id: string, from: number): Promise<readonly StepProgress[]> {
    const { rows } = await this.#db.query<StepRow>({
      name: "saga_steps",
      text: `select sequence, step, status, detail, bytes_done, bytes_total, time from saga_steps
              where saga_id = $1 and sequence >= $2 order by sequence`,
      values: [id, from],
    });
    return rows.map(toProgress);
  }

  /**
   * Creates that have ended and whose time has come to settle what they left in doubt. Nobody else gets them for a while, which is longer the longer
   * ago they ended: 2 s at first, 5 min at last.
   */
  async inDoubt(limit: number): Promise<readonly InDoubt[]> {
    const { rows } = await this.#db.query<{ id: string; state: CreateState; ended_ms: string }>({
      name: "saga_in_doubt",
      text: `update sagas
                set resolve_time = now() + least(greatest((now() - update_time) / 2, interval '2 seconds'), interval '5 minutes')
              where id in (select id from sagas where resolve_time < now() order by resolve_time limit $1 for update skip locked)
          returning id, state, floor(extract(epoch from now() - update_time) * 1000)::bigint as ended_ms`,
      values: [limit],
    });
    return rows.map(({ id, state, ended_ms }) => ({ id, state, endedMs: Number(ended_ms) }));
  }

  /** Nothing of it is in doubt any more. */
  async settled(id: string): Promise<void> {
    await this.#db.query({
      name: "saga_settled",
      text: "update sagas set resolve_time = null where id = $1",
      values: [id],
    });
  }

  /** How many have an undo that failed. */
  async countStuck(): Promise<number> {
    const { rows } = await this.#db.query<{ count: string }>({
      name: "saga_count_stuck",
      text: "select count(*) as count from sagas where status = 'stuck'",
    });
    return Number(rows[0]?.count ?? 0);
  }
}

async function owned(db: Queries, statement: Statement): Promise<void> {
  const { rowCount } = await db.query(statement);
  if (rowCount === 0) throw leaseLost(String(statement.values?.[0]));
}

function leaseLost(id: string): Fault {
  return new Fault("ABORTED", "LEASE_LOST", "another api has taken over this create", { create_id: id });
}

function machineDestroyed(id: string): Fault {
  const message = `machine ${id} was destroyed while it was created`;
  return new Fault("ABORTED", "MACHINE_DESTROYED", message, { machine_id: id });
}

interface StepRow {
  readonly sequence: number;
  readonly step: string;
  readonly status: StepProgress["status"];
  readonly detail: string;
  readonly bytes_done: string;
  readonly bytes_total: string;
  readonly time: Date;
}

function toProgress(row: StepRow): StepProgress {
  return {
    sequence: row.sequence,
    step: row.step,
    status: row.status,
    detail: row.detail,
    bytesDone: Number(row.bytes_done),
    bytesTotal: Number(row.bytes_total),
    timeMs: row.time.getTime(),
  };
}
