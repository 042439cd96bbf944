import type { Queries } from "../../lib/stores/postgres.ts";
import type { Limits } from "./rates.ts";
import type { Shares } from "./shares.ts";

/** Many more than operators set by hand. */
const MAX_ORGS = 10_000;

/** Reads the organisations that have limits of their own. */
export class LimitStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Gives `shares` the limits that are stored. Without the database the last ones stay. */
  async refresh(shares: Pick<Shares, "setLimits">): Promise<void> {
    const { rows } = await this.#db.query<{ slug: string; limits: Limits }>({
      name: "limits_read",
      text: "select slug, limits from organizations where limits is not null order by slug limit $1",
      values: [MAX_ORGS],
    });
    shares.setLimits(new Map(rows.map(({ slug, limits }) => [slug, limits])));
  }
}
