import { Fault } from "../../lib/fault.ts";
import type { Queries, Statement } from "../../lib/postgres.ts";
import type { SagaEntry } from "../../lib/saga.ts";
import type { Attempt, CreateState } from "../domain/create-state.ts";
import type { FaultData } from "../domain/fault-data.ts";
import type { Machine } from "../domain/machine.ts";
import type { StepProgress } from "../domain/progress.ts";
import type { Transactions } from "./gated-database.ts";
import { toJson } from "./json.ts";
import { applyChanges } from "./machine-store.ts";
import { SAGA_COLUMNS, type SagaRow, type SagaStatus, type StoredSaga, toSaga } from "./saga-row.ts";

/** A saga and who runs it: every write says so, and counts only while that is true. */
export interface Ownership {
  readonly id: string;
  readonly owner: string;
}

/** What a saga's log stores with an entry. */
export interface Recorded {
  readonly entries: readonly SagaEntry[];
  readonly state: CreateState;
  readonly status: SagaStatus;
  readonly fault: FaultData | undefined;
  readonly progress: StepProgress;
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

  /** Stores what happened to a step. @throws Fault `LEASE_LOST` */
  record({ id, owner }: Ownership, recorded: Recorded): Promise<void> {
    return this.#db.transaction(async (tx) => {
      await owned(tx, {
        name: "saga_record",
        text: `update sagas set entries = $3, state = $4, status = $5, fault = $6, update_time = now()
                where id = $1 and owner = $2`,
        values: [
          id,
          owner,
          toJson(recorded.entries),
          toJson(recorded.state),
          recorded.status,
          recorded.fault ? toJson(recorded.fault) : null,
        ],
      });
      await tx.query(progressStatement(id, recorded.progress));
    });
  }

  /** Stores how far a step is: for those who watch, so it may get lost. */
  async progress(id: string, progress: StepProgress): Promise<void> {
    await this.#db.query(progressStatement(id, progress));
  }

  /** Stores the state within a step. @throws Fault `LEASE_LOST` */
  save(ownership: Ownership, state: CreateState): Promise<void> {
    return saveState(this.#db, ownership, state);
  }

  /** Stores a host that is about to be asked, and the machine's id with it: from here on the record knows the machine. @throws Fault `LEASE_LOST` */
  saveAttempt(ownership: Ownership, state: CreateState, attempt: Attempt): Promise<void> {
    return this.#db.transaction(async (tx) => {
      await saveState(tx, ownership, state);
      await tx.query({
        name: "saga_forget_events",
        text: "delete from machine_events where machine_id = (select id from machines where create_id = $1)",
        values: [ownership.id],
      });
      const { rowCount } = await tx.query({
        name: "saga_place",
        text: `update machines set id = $2, host_number = $3, region = coalesce($4, region), generation = 0, snapshot = null
                where create_id = $1`,
        values: [ownership.id, attempt.machineId, attempt.offer.hostNumber, attempt.region ?? null],
      });
      if (rowCount === 0) throw leaseLost(ownership.id);
    });
  }

  /** Stores what a host said of the machine, besides the state. @throws Fault `LEASE_LOST` */
  saveMachine(ownership: Ownership, state: CreateState, machine: Machine): Promise<void> {
    return this.#db.transaction(async (tx) => {
      await saveState(tx, ownership, state);
      await applyChanges(tx, [machine], []);
    });
  }

  /** Puts the machine into the record for good. @throws Fault `MACHINE_DESTROYED` when somebody has destroyed it meanwhile */
  async recordMachine(createId: string, machine: Machine): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await applyChanges(
        tx,
        [machine],
        machine.events.map((event) => ({ machineId: machine.id, event })),
      );
      const { rowCount } = await tx.query({
        name: "saga_record_machine",
        text: "update machines set recorded = true where create_id = $1 and state not in ('destroying', 'destroyed')",
        values: [createId],
      });
      if (rowCount > 0) return;
      throw new Fault(
        "ABORTED",
        "MACHINE_DESTROYED",
        `machine ${machine.id} was destroyed while it was created`,
        {
          machine_id: machine.id,
        },
      );
    });
  }

  /** Ends a run: nobody owns the saga any more. An unfinished one may be claimed after `retryAfterMs`. @throws Fault `LEASE_LOST` */
  release({ id, owner }: Ownership, status: SagaStatus, retryAfterMs: number): Promise<void> {
    return owned(this.#db, {
      name: "saga_release",
      text: `update sagas set status = $3, owner = null, lease_time = now() + $4 * interval '1 millisecond', update_time = now(),
                    attempts = attempts + case when $3 = 'stuck' then 1 else 0 end
              where id = $1 and owner = $2`,
      values: [id, owner, status, retryAfterMs],
    });
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

function saveState(db: Queries, { id, owner }: Ownership, state: CreateState): Promise<void> {
  return owned(db, {
    name: "saga_save",
    text: "update sagas set state = $3, update_time = now() where id = $1 and owner = $2",
    values: [id, owner, toJson(state)],
  });
}

function progressStatement(sagaId: string, progress: StepProgress): Statement {
  return {
    name: "saga_progress",
    text: `insert into saga_steps (saga_id, sequence, step, status, detail, bytes_done, bytes_total, time)
           select id, $2, $3, $4, $5, $6, $7, $8 from sagas where id = $1
           on conflict (saga_id, sequence) do update
              set detail = excluded.detail, bytes_done = excluded.bytes_done, bytes_total = excluded.bytes_total,
                  time = excluded.time`,
    values: [
      sagaId,
      progress.sequence,
      progress.step,
      progress.status,
      progress.detail,
      Math.round(progress.bytesDone),
      Math.round(progress.bytesTotal),
      new Date(progress.timeMs),
    ],
  };
}

function leaseLost(id: string): Fault {
  return new Fault("ABORTED", "LEASE_LOST", "another api has taken over this create", { create_id: id });
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
