import type { Queries } from "../../lib/stores/postgres.ts";
import type { Intent } from "./acquire.ts";

/**
 * `running`: an api tries its steps. `settling`: it has its machine, and slower steps are being undone.
 * `done`: it has its machine. `failed`: it has none, and its key may be used again.
 */
export type AcquireStatus = "running" | "settling" | "done" | "failed";

/** An acquire as it is stored. */
export interface StoredAcquire {
  readonly id: string;
  readonly org: string;
  /** Null: the call cannot be repeated. */
  readonly key: string | null;
  readonly status: AcquireStatus;
  readonly machineId: string | null;
  readonly step: number | null;
  readonly intents: readonly Intent[];
  /** W3C trace id of the call. Hosts store it with each start that the call makes. */
  readonly traceId: string;
  /** Whether its steps differ from those of the request that asked for it. */
  readonly isOther: boolean;
  /** Whether the lease of the api that works on it has not ended. */
  readonly isOwned: boolean;
  readonly owner: string;
}

export interface NewAcquire {
  readonly id: string;
  readonly org: string;
  readonly key: string | undefined;
  readonly requestHash: Buffer;
  readonly traceId: string;
  readonly intents: readonly Intent[];
}

/** Another api takes over when the owner has not renewed its lease for this long. */
const LEASE_MS = 15_000;
/** Acquires that got one machine and are kept for more than an hour. */
const KEPT_PER_MACHINE = 100;

const COLUMNS = `id, org, key, status, machine_id as "machineId", step, intents, trace_id as "traceId", owner,
                 lease_time > now() as "isOwned"`;

/** Acquires in the database. Each has one owner at a time: an api. */
export class AcquireStore {
  readonly #db: Queries;
  readonly #owner: string;

  /** @param owner names this api */
  constructor(db: Queries, owner: string) {
    this.#db = db;
    this.#owner = owner;
  }

  /**
   * Stores a new acquire. Returns the one with the same key, and stores nothing, when that has not
   * failed.
   */
  async begin(acquire: NewAcquire): Promise<StoredAcquire | undefined> {
    const { id, org, key, requestHash, traceId, intents } = acquire;
    const { rowCount } = await this.#db.query({
      name: "acquire_begin",
      text: `insert into acquires (id, org, key, request_hash, status, intents, trace_id, owner, lease_time)
             values ($1, $2, $3, $4, 'running', $5::jsonb, $6, $7, now() + ${LEASE_MS} * interval '1 millisecond')
                 on conflict (org, key) where status <> 'failed' do nothing`,
      values: [id, org, key ?? null, requestHash, JSON.stringify(intents), traceId, this.#owner],
    });
    return rowCount > 0 ? undefined : this.find(org, key ?? "", requestHash);
  }

  /** Finds the acquire of a key that has not failed. */
  async find(org: string, key: string, requestHash: Buffer): Promise<StoredAcquire | undefined> {
    const { rows } = await this.#db.query<StoredAcquire>({
      name: "acquire_find",
      text: `select ${COLUMNS}, request_hash <> $3 as "isOther" from acquires
              where org = $1 and key = $2 and status <> 'failed'`,
      values: [org, key, requestHash],
    });
    return rows[0];
  }

  /** Stores what is about to be done. Returns false when another api has taken over the acquire. */
  async record(id: string, intent: Intent): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "acquire_record",
      text: "update acquires set intents = intents || $3::jsonb, update_time = now() where id = $1 and owner = $2",
      values: [id, this.#owner, JSON.stringify([intent])],
    });
    return rowCount > 0;
  }

  /** Stores the status and the machine that was found. Returns false when another api has taken over. */
  async end(
    id: string,
    status: Exclude<AcquireStatus, "running">,
    found?: { readonly machineId: string; readonly step: number },
  ): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "acquire_end",
      text: `update acquires set status = $3, machine_id = $4, step = $5, update_time = now()
              where id = $1 and owner = $2`,
      values: [id, this.#owner, status, found?.machineId ?? null, found?.step ?? null],
    });
    return rowCount > 0;
  }

  /** Begins an acquire again whose machine is gone. Returns false when another call has done so. */
  async reopen(id: string, traceId: string): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "acquire_reopen",
      text: `update acquires set status = 'running', machine_id = null, step = null, intents = '[]', trace_id = $3, owner = $2,
                    lease_time = now() + ${LEASE_MS} * interval '1 millisecond', update_time = now()
              where id = $1 and status = 'done'`,
      values: [id, this.#owner, traceId],
    });
    return rowCount > 0;
  }

  /** Renews the leases of acquires that this api works on. */
  async renew(ids: readonly string[]): Promise<void> {
    await this.#db.query({
      name: "acquire_renew",
      text: `update acquires set lease_time = now() + ${LEASE_MS} * interval '1 millisecond'
              where owner = $1 and id = any($2)`,
      values: [this.#owner, ids],
    });
  }

  /** Takes over acquires whose lease has ended, at most `limit`. @param id only this one */
  async claim(limit: number, id?: string): Promise<readonly StoredAcquire[]> {
    const { rows } = await this.#db.query<StoredAcquire>({
      name: "acquire_claim",
      text: `update acquires set owner = $1, lease_time = now() + ${LEASE_MS} * interval '1 millisecond'
              where id in (select id from acquires where status in ('running', 'settling') and lease_time < now()
                              and ($3::uuid is null or id = $3) order by lease_time limit $2 for update skip locked)
          returning ${COLUMNS}, false as "isOther"`,
      values: [this.#owner, limit, id ?? null],
    });
    return rows;
  }

  /** Lets any api take over, 2 s later, an acquire that cannot be settled yet. */
  async postpone(id: string): Promise<void> {
    await this.#db.query({
      name: "acquire_postpone",
      text: "update acquires set lease_time = now() + interval '2 seconds' where id = $1 and owner = $2",
      values: [id, this.#owner],
    });
  }

  /**
   * Removes acquires that ended an hour ago: those that no repeat can return, and all but the newest of one machine, since clients may
   * take a new key for each call. An acquire that created its machine stays as long as the machine does. Of one that is on several pages,
   * each round leaves fewer.
   *
   * @param pageSize acquires that a statement reads: one that read all would reach its timeout
   */
  async removeOld(pageSize = PAGE): Promise<void> {
    let last: OldAcquire | undefined = { time: "-infinity", id: NIL };
    while (last) {
      const { rows }: { readonly rows: readonly OldAcquire[] } = await this.#db.query<OldAcquire>({
        name: "acquire_remove_old",
        text: REMOVE_OLD,
        values: [last.time, last.id, pageSize],
      });
      last = rows[0];
    }
  }
}

/** The last acquire of a page. */
interface OldAcquire {
  /** As Postgres writes it: exact to the microsecond. */
  readonly time: string;
  readonly id: string;
}

const PAGE = 5_000;
const NIL = "00000000-0000-0000-0000-000000000000";
const REMOVE_OLD = `
with page as (
  select id, status, key, machine_id, step, intents, update_time from acquires
   where status in ('done', 'failed') and update_time < now() - interval '1 hour'
     and (update_time, id) > ($1::timestamptz, $2::uuid)
   order by update_time, id limit $3
), ranked as (
  select id, row_number() over (partition by machine_id order by update_time desc) as nth
    from page p where status = 'done' and machine_id is not null and not exists (
      select 1 from jsonb_array_elements(p.intents) i
       where i ->> 'kind' = 'create' and (i ->> 'step')::integer = p.step)
), gone as (
  delete from acquires a using page p left join ranked r on r.id = p.id
   where a.id = p.id
     and (p.status = 'failed' or p.key is null or r.nth > ${KEPT_PER_MACHINE}
          or not exists (select 1 from machines m where m.id = p.machine_id and m.state <> 'destroyed')))
select update_time::text as time, id from page order by page.update_time desc, page.id desc limit 1`;
