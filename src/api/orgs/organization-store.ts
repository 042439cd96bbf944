import { Fault } from "../../lib/faults/fault.ts";
import type { Queries } from "../../lib/stores/postgres.ts";
import { toJson } from "../database/json.ts";
import type { Limits } from "../shares/rates.ts";
import { type Amount, type Organization, orgNotFound, type Standing } from "./organization.ts";
import { QUOTA, usedBy } from "./usage.ts";

/** What to change of an organisation; undefined leaves it as it is. */
export interface OrganizationChange {
  readonly standing?: Standing | undefined;
  readonly quota?: Partial<Amount> | undefined;
  /** Null: none of its own. */
  readonly limits?: Limits | null | undefined;
}

const SELECT = `select slug, name, standing, limits, ${QUOTA} as quota,
    (select row_to_json(used) from (${usedBy("o.slug")}) used) as used,
    floor(extract(epoch from create_time) * 1000)::float8 as "createTimeMs"`;

export class OrganizationStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** @throws Fault `ORG_SLUG_TAKEN` */
  async create(slug: string, name: string, quota: Amount): Promise<Organization> {
    const { rows } = await this.#db.query<Organization>({
      name: "organization_create",
      text: `with o as (
               insert into organizations (slug, name, quota_machines, quota_memory_mb, quota_image_mb)
               values ($1, $2, $3, $4, $5)
                   on conflict (slug) do nothing returning *)
             ${SELECT} from o`,
      values: [slug, name, quota.machines, quota.memoryMb, quota.imageMb],
    });
    if (rows[0]) return rows[0];
    throw new Fault("ALREADY_EXISTS", "ORG_SLUG_TAKEN", `there is an organisation ${slug} already`, {
      org: slug,
    });
  }

  /** @throws Fault `ORG_NOT_FOUND` */
  async get(slug: string): Promise<Organization> {
    const { rows } = await this.#db.query<Organization>({
      name: "organization_get",
      text: `${SELECT} from organizations o where slug = $1`,
      values: [slug],
    });
    if (!rows[0]) throw orgNotFound(slug);
    return rows[0];
  }

  /** Returns the name of an organisation; undefined when there is none. */
  async nameOf(slug: string): Promise<string | undefined> {
    const { rows } = await this.#db.query<Pick<Organization, "name">>({
      name: "organization_name",
      text: "select name from organizations where slug = $1",
      values: [slug],
    });
    return rows[0]?.name;
  }

  /** Reads a page by slug, after `after`. */
  async list(after: string, limit: number): Promise<readonly Organization[]> {
    const { rows } = await this.#db.query<Organization>({
      name: "organization_list",
      text: `${SELECT} from organizations o where slug > $1 order by slug limit $2`,
      values: [after, limit],
    });
    return rows;
  }

  /** @throws Fault `ORG_NOT_FOUND` */
  async update(slug: string, { standing, quota, limits }: OrganizationChange): Promise<Organization> {
    const { rows } = await this.#db.query<Organization>({
      name: "organization_update",
      text: `with o as (
               update organizations
                  set standing = coalesce($2, standing), quota_machines = coalesce($3, quota_machines),
                      quota_memory_mb = coalesce($4, quota_memory_mb), quota_image_mb = coalesce($5, quota_image_mb),
                      limits = case when $6 then $7::jsonb else limits end
                where slug = $1 returning *)
             ${SELECT} from o`,
      values: [
        ...[slug, standing ?? null, quota?.machines ?? null, quota?.memoryMb ?? null, quota?.imageMb ?? null],
        ...[limits !== undefined, limits ? toJson(limits) : null],
      ],
    });
    if (!rows[0]) throw orgNotFound(slug);
    return rows[0];
  }

  /**
   * Voids all tokens of an organisation issued before a moment, and those made in the last minutes
   * by an api whose clock is ahead.
   *
   * @throws Fault `ORG_NOT_FOUND`
   */
  async voidTokens(slug: string, notBeforeMs: number): Promise<void> {
    const { rows } = await this.#db.query({
      name: "organization_void_tokens",
      text: `with recent as (
               insert into token_revocations (id, expire_time)
               select id, expire_time from tokens where org = $1 and create_time > now() - interval '5 minutes'
                   on conflict (id) do nothing)
             update organizations
                set tokens_not_before = greatest(tokens_not_before, to_timestamp($2::float8 / 1000))
              where slug = $1 returning slug`,
      values: [slug, notBeforeMs],
    });
    if (!rows[0]) throw orgNotFound(slug);
  }
}
