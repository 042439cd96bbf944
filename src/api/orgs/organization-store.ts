import { Fault } from "../../lib/runtime/fault.ts";
import type { Queries } from "../../lib/stores/postgres.ts";
import { type Amount, type Organization, orgNotFound, type Standing } from "./organization.ts";

/** Organisations in the database. */
export class OrganizationStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Creates an organisation in good standing. @throws Fault `ORG_SLUG_TAKEN` */
  async create(slug: string, name: string, quota: Amount): Promise<Organization> {
    const { rows } = await this.#db.query<Row>({
      name: "organization_create",
      text: `insert into organizations (slug, name, quota_machines, quota_memory_mb) values ($1, $2, $3, $4)
               on conflict (slug) do nothing
          returning slug, name, standing, quota_machines, quota_memory_mb, create_time, 0 as machines, 0 as memory_mb`,
      values: [slug, name, quota.machines, quota.memoryMb],
    });
    if (rows[0]) return fromRow(rows[0]);
    throw new Fault("ALREADY_EXISTS", "ORG_SLUG_TAKEN", `there is an organisation ${slug} already`, {
      org: slug,
    });
  }

  /** Reads an organisation. @throws Fault `ORG_NOT_FOUND` */
  async get(slug: string): Promise<Organization> {
    const { rows } = await this.#db.query<Row>({
      name: "organization_get",
      text: `${SELECT} where o.slug = $1`,
      values: [slug],
    });
    if (!rows[0]) throw orgNotFound(slug);
    return fromRow(rows[0]);
  }

  /** Reads a page by slug, after `after`. */
  async list(after: string, limit: number): Promise<readonly Organization[]> {
    const { rows } = await this.#db.query<Row>({
      name: "organization_list",
      text: `${SELECT} where o.slug > $1 order by o.slug limit $2`,
      values: [after, limit],
    });
    return rows.map(fromRow);
  }

  /** Changes standing or quota; undefined leaves it as it is. @throws Fault `ORG_NOT_FOUND` */
  async update(
    slug: string,
    standing: Standing | undefined,
    quota: Amount | undefined,
  ): Promise<Organization> {
    const { rowCount } = await this.#db.query({
      name: "organization_update",
      text: `update organizations
                set standing = coalesce($2, standing), quota_machines = coalesce($3, quota_machines),
                    quota_memory_mb = coalesce($4, quota_memory_mb)
              where slug = $1`,
      values: [slug, standing ?? null, quota?.machines ?? null, quota?.memoryMb ?? null],
    });
    if (rowCount === 0) throw orgNotFound(slug);
    return this.get(slug);
  }
}

interface Row {
  readonly slug: string;
  readonly name: string;
  readonly standing: Standing;
  readonly quota_machines: number;
  readonly quota_memory_mb: string;
  readonly create_time: Date;
  readonly machines: string;
  readonly memory_mb: string;
}

const SELECT = `select o.slug, o.name, o.standing, o.quota_machines, o.quota_memory_mb, o.create_time, u.machines, u.memory_mb
  from organizations o
  cross join lateral (
    select count(*) as machines, coalesce(sum(memory_mb), 0) as memory_mb
      from machines where org = o.slug and state <> 'destroyed'
  ) u`;

function fromRow(row: Row): Organization {
  return {
    slug: row.slug,
    name: row.name,
    standing: row.standing,
    quota: { machines: row.quota_machines, memoryMb: Number(row.quota_memory_mb) },
    used: { machines: Number(row.machines), memoryMb: Number(row.memory_mb) },
    createTimeMs: row.create_time.getTime(),
  };
}
