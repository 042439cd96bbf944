import type { Queries } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { toJson } from "../database/json.ts";
import { applyChanges } from "../machines/apply-changes.ts";
import { type HostEntry, numberTaken } from "./host-table.ts";
import { type HostEvent, notDescribed, planBatch } from "./outbox.ts";

/** Hosts in the database, and how far each one's outbox has been applied. */
export class HostStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** @throws Fault `HOST_NUMBER_TAKEN` when the number belongs to another identity */
  async announce(entry: HostEntry): Promise<void> {
    const { rowCount } = await this.#db.query({
      name: "host_announce",
      text: `with known as (select entry from hosts where number = $1),
             announced as (
               insert into hosts as h (number, identity, entry) values ($1, $2, $3)
               on conflict (number) do update set entry = excluded.entry, update_time = now()
                where h.identity = excluded.identity
               returning h.number, h.entry),
             logged as (
               insert into route_changes (host_number)
               select number from announced a
                where not exists (select 1 from known k where k.entry - 'lastSeenMs' = a.entry - 'lastSeenMs'))
             select number from announced`,
      values: [entry.number, entry.identity, toJson(entry)],
    });
    if (rowCount === 0) throw await this.#taken(this.#db, entry.number);
  }

  /** Reads hosts that changed since `since`, by Postgres' clock; all when it is undefined. */
  async changedSince(
    since: Date | undefined,
  ): Promise<{ readonly entries: readonly HostEntry[]; readonly now: Date }> {
    // 10 s earlier, for announcements that began before `since` and were committed after it.
    const { rows } = await this.#db.query<{ entry: HostEntry | null; now: Date }>({
      name: "host_changed_since",
      text: `select h.entry, n.now from (select now() as now) n
               left join hosts h on h.update_time >= coalesce($1::timestamptz - interval '10 seconds', '-infinity')`,
      values: [since ?? null],
    });
    return {
      entries: rows.flatMap((row) => (row.entry ? [row.entry] : [])),
      now: rows[0]?.now ?? new Date(0),
    };
  }

  /**
   * Applies a host's changes in one transaction, each once. Apis take turns by the host's row.
   *
   * @returns sequence of the last applied change
   * @throws Fault `HOST_NUMBER_TAKEN`, `SEQUENCE_GAP`, `MACHINE_NOT_DESCRIBED`
   */
  applyEvents(hostNumber: number, identity: string, changes: readonly HostEvent[]): Promise<bigint> {
    return this.#db.transaction(async (tx) => {
      await tx.query({
        name: "host_insert",
        text: "insert into hosts (number, identity) values ($1, $2) on conflict (number) do nothing",
        values: [hostNumber, identity],
      });
      const { rows } = await tx.query<{ identity: string; applied_sequence: string; lacks: boolean }>({
        name: "host_lock",
        text: `select identity, applied_sequence,
                      exists (select 1 from machines
                               where id = any($2) and snapshot is null and state <> 'destroyed') as lacks
                 from hosts where number = $1 for update`,
        values: [hostNumber, withStatusOnly(changes)],
      });
      if (rows[0]?.identity !== identity) throw await this.#taken(tx, hostNumber);
      const before = BigInt(rows[0].applied_sequence);
      const batch = planBatch(before, changes);
      if (batch.applied === before) return before;
      if (rows[0].lacks) throw notDescribed(hostNumber);
      // Sent together with the commit: rows of machines stay locked for one round trip only.
      await Promise.all([
        applyChanges(tx, batch),
        tx.commit({
          name: "host_applied",
          text: "update hosts set applied_sequence = $2 where number = $1",
          values: [hostNumber, batch.applied.toString()],
        }),
      ]);
      return batch.applied;
    });
  }

  async #taken(db: Queries, number: number) {
    const { rows } = await db.query<{ name: string | null }>({
      name: "host_owner",
      text: "select entry->>'name' as name from hosts where number = $1",
      values: [number],
    });
    return numberTaken(number, rows[0]?.name ?? "");
  }
}

/** Returns the machines of which no change has more than the status. */
function withStatusOnly(changes: readonly HostEvent[]): readonly string[] {
  const whole = new Set(
    changes.flatMap(({ reported }) => (reported.kind === "whole" ? [reported.machine.id] : [])),
  );
  return [...new Set(changes.map(({ reported }) => reported.machine.id))].filter((id) => !whole.has(id));
}
