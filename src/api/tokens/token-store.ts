import type { OrgRestriction, RevocationList } from "../../lib/auth/revocations.ts";
import type { Queries } from "../../lib/stores/postgres.ts";

/** A token that was made, without its text. */
export interface TokenRecord {
  readonly id: string;
  readonly org: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** Subject of the token that it was made with. */
  readonly creator: string;
  readonly last4: string;
  readonly expireTimeMs: number;
}

export interface ListedToken extends TokenRecord {
  readonly createTimeMs: number;
  readonly revokeTimeMs: number | undefined;
  /** As Postgres writes it; sorts the list. */
  readonly createTime: string;
}

/** Tokens that were made, and what is revoked. */
export class TokenStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  async add({ id, org, subject, scopes, creator, last4, expireTimeMs }: TokenRecord): Promise<void> {
    await this.#db.query({
      name: "token_add",
      text: `insert into tokens (id, org, subject, scopes, creator, last4, expire_time)
             values ($1, $2, $3, $4, $5, $6, to_timestamp($7::float8 / 1000))`,
      values: [id, org, subject, [...scopes], creator, last4, expireTimeMs],
    });
  }

  /** Reads a page of the tokens that have not expired, newest first. @param org all when undefined */
  async list(
    org: string | undefined,
    after: { readonly createTime: string; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly ListedToken[]> {
    const { rows } = await this.#db.query<
      Omit<ListedToken, "revokeTimeMs"> & { revokeTimeMs: number | null }
    >({
      name: "token_list",
      text: `select t.id, org, subject, scopes, creator, last4, create_time::text as "createTime",
                    floor(extract(epoch from create_time) * 1000)::float8 as "createTimeMs",
                    floor(extract(epoch from t.expire_time) * 1000)::float8 as "expireTimeMs",
                    floor(extract(epoch from coalesce(r.revoke_time, void.time)) * 1000)::float8 as "revokeTimeMs"
               from tokens t left join token_revocations r using (id)
                    left join lateral (select tokens_not_before as time from organizations
                                        where slug = t.org and tokens_not_before > t.create_time) void on true
              where t.expire_time > now() and ($1::text is null or org = $1)
                and ($2::timestamptz is null or (create_time, t.id) < ($2, $3))
              order by create_time desc, t.id desc limit $4`,
      values: [org ?? null, after?.createTime ?? null, after?.id ?? null, limit],
    });
    return rows.map((row) => ({ ...row, revokeTimeMs: row.revokeTimeMs ?? undefined }));
  }

  /** Revokes a token or block. Returns whether it is a token that was made here. */
  async revoke(id: string, longestLifeMs: number): Promise<boolean> {
    const { rows } = await this.#db.query<{ known: boolean }>({
      name: "token_revoke",
      text: `with known as (select expire_time from tokens where id = $1),
                  added as (
                    insert into token_revocations (id, expire_time)
                    values ($1, coalesce((select expire_time from known), now() + $2 * interval '1 millisecond'))
                    on conflict (id) do nothing)
             select exists (select from known) as known`,
      values: [id, longestLifeMs],
    });
    return rows[0]?.known ?? false;
  }

  /** Returns the list when its version is not `known`. */
  async changedRevocations(known: number): Promise<RevocationList | undefined> {
    const { rows } = await this.#db.query<RevocationRow>({
      name: "revocations_changed",
      text: `select version::float8 as version,
                    (select coalesce(json_agg(id), '[]') from token_revocations where expire_time > now()) as tokens,
                    (select coalesce(json_agg(json_build_object(
                              'org', slug, 'isSuspended', standing = 'banned',
                              'notBeforeMs', coalesce(extract(epoch from tokens_not_before) * 1000, 0)::float8)), '[]')
                       from organizations where standing = 'banned' or tokens_not_before is not null) as orgs
               from revocations_version where version <> $1`,
      values: [known],
    });
    return rows[0];
  }
}

interface RevocationRow {
  readonly version: number;
  readonly tokens: readonly string[];
  readonly orgs: readonly OrgRestriction[];
}
