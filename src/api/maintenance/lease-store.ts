import { randomUUID } from "node:crypto";
import type { Queries } from "../../lib/stores/postgres.ts";

/** Lets one api of many do what only one needs to do; when it goes, another takes over. Doing it twice must be harmless. */
export class LeaseStore {
  readonly #db: Queries;
  readonly #owner = randomUUID();

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Whether this process has, or now gets, the lease, for so long from now. */
  async hold(name: string, ms: number): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "lease_hold",
      text: `insert into leases as l (name, owner, lease_time) values ($1, $2, now() + $3 * interval '1 millisecond')
             on conflict (name) do update set owner = excluded.owner, lease_time = excluded.lease_time
              where l.owner = excluded.owner or l.lease_time < now()`,
      values: [name, this.#owner, ms],
    });
    return rowCount > 0;
  }
}
