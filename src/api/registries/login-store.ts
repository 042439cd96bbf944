import type { Transactions } from "../database/gated-database.ts";

export type LoginKind = "password" | "identity_token" | "registry_token";

/** Credentials of an organisation for a registry, encrypted. */
export interface StoredLogin {
  readonly registry: string;
  readonly kind: LoginKind;
  readonly sealed: Buffer;
  readonly updateTimeMs: number;
}

const COLUMNS = `registry, kind, sealed, floor(extract(epoch from update_time) * 1000)::float8 as "updateTimeMs"`;

export class LoginStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** Stores a login in place of an earlier one. Returns undefined when there are `limit` others. */
  async put(
    org: string,
    { registry, kind, sealed }: Omit<StoredLogin, "updateTimeMs">,
    limit: number,
  ): Promise<StoredLogin | undefined> {
    const { rows } = await this.#db.query<StoredLogin>({
      name: "login_put",
      text: `insert into registry_logins (org, registry, kind, sealed)
             select $1, $2, $3, $4
              where (select count(*) from registry_logins where org = $1 and registry <> $2) < $5
                 on conflict (org, registry) do update set kind = $3, sealed = $4, update_time = now()
             returning ${COLUMNS}`,
      values: [org, registry, kind, sealed, limit],
    });
    return rows[0];
  }

  async delete(org: string, registry: string): Promise<boolean> {
    const { rowCount } = await this.#db.query({
      name: "login_delete",
      text: "delete from registry_logins where org = $1 and registry = $2",
      values: [org, registry],
    });
    return rowCount > 0;
  }

  /** Reads a page by registry, after `after`. */
  async list(org: string, after: string, limit: number): Promise<readonly StoredLogin[]> {
    const { rows } = await this.#db.query<StoredLogin>({
      name: "login_list",
      text: `select ${COLUMNS} from registry_logins where org = $1 and registry > $2 order by registry limit $3`,
      values: [org, after, limit],
    });
    return rows;
  }
}
