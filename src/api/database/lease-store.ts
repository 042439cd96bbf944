import { randomUUID } from "node:crypto";
import type { Queries } from "../../lib/stores/postgres.ts";

/** Leases for work that one api at a time should do. The work must tolerate being done twice. */
export class LeaseStore {
  readonly #db: Queries;
  readonly #owner = randomUUID();

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Takes or renews a lease. Returns false when another api holds it. */
  async acquire(name: string, ms: number): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "lease_acquire",
      text: `insert into leases as l (name, owner, lease_time) values ($1, $2, now() + $3 * interval '1 millisecond')
             on conflict (name) do update set owner = excluded.owner, lease_time = excluded.lease_time
              where l.owner = excluded.owner or l.lease_time < now()`,
      values: [name, this.#owner, ms],
    });
    return rowCount > 0;
  }
}
