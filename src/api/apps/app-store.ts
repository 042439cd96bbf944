import { Fault } from "../../lib/faults/fault.ts";
import type { Queries } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { banned, orgNotFound, type Standing } from "../orgs/organization.ts";
import { logAppChange } from "../routes/log-app-change.ts";
import { type App, appNotEmpty, appNotFound } from "./app.ts";

const CREATE_TIME = `floor(extract(epoch from create_time) * 1000)::float8 as "createTimeMs"`;
const ORG_NAME = `(select o.name from organizations o where o.slug = a.org) as "orgName"`;
const SELECT = `select name, org, network, ${CREATE_TIME}, ${ORG_NAME},
    (select count(*)::int from machines m where m.app = a.name and m.state <> 'destroyed') as "machineCount"
  from apps a`;

/** An app to create. */
export interface NewApp {
  readonly name: string;
  readonly org: string;
  readonly network: string;
  /** Undefined: the call cannot be repeated. */
  readonly requestId: string | undefined;
}

export class AppStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /**
   * Creates an app, or returns the one that an earlier call with the same request id has created.
   *
   * @throws Fault `APP_NAME_TAKEN`, `REQUEST_ID_REUSED`, `ORG_NOT_FOUND`, `ORG_BANNED`
   */
  create({ name, org, network, requestId }: NewApp): Promise<App> {
    return this.#db.transaction(async (tx) => {
      const { rows: orgs } = await tx.query<{ standing: Standing }>({
        name: "app_create_org",
        text: "select standing from organizations where slug = $1 for share",
        values: [org],
      });
      if (!orgs[0]) throw orgNotFound(org);
      if (orgs[0].standing === "banned") throw banned(org);
      const { rows } = await tx.query<App>({
        name: "app_create",
        text: `insert into apps as a (name, org, network, request_id) values ($1, $2, $3, $4) on conflict do nothing
               returning name, org, network, ${CREATE_TIME}, ${ORG_NAME}, 0 as "machineCount"`,
        values: [name, org, network, requestId ?? null],
      });
      if (rows[0]) await logAppChange(tx, name);
      const app = rows[0] ?? (requestId && (await madeBefore(tx, org, requestId)));
      if (!app) throw taken(name);
      if (app.name !== name || app.network !== network) throw reused(requestId ?? "", app);
      return app;
    });
  }

  /** @throws Fault `APP_NOT_FOUND` */
  async get(name: string, org: string): Promise<App> {
    const { rows } = await this.#db.query<App>({
      name: "app_get",
      text: `${SELECT} where name = $1 and org = $2`,
      values: [name, org],
    });
    if (!rows[0]) throw appNotFound(name);
    return rows[0];
  }

  /** Reads a page of an organisation's apps by name, after `after`. */
  async list(org: string, after: string, limit: number): Promise<readonly App[]> {
    const { rows } = await this.#db.query<App>({
      name: "app_list",
      text: `${SELECT} where org = $1 and name > $2 order by name limit $3`,
      values: [org, after, limit],
    });
    return rows;
  }

  /**
   * Deletes an app without machines.
   *
   * @param isForced whether its machines were to be destroyed: those that are left come or go
   * @throws Fault `APP_NOT_FOUND`, `APP_NOT_EMPTY`
   */
  delete(name: string, org: string, isForced: boolean): Promise<void> {
    return this.#db.transaction(async (tx) => {
      // Waits for creates that hold the app; later creates do not find it.
      const locked = await tx.query({
        name: "app_lock",
        text: "select 1 from apps where name = $1 and org = $2 for update",
        values: [name, org],
      });
      if (locked.rowCount === 0) throw appNotFound(name);
      const { rows } = await tx.query<{ placed: number; unplaced: number }>({
        name: "app_machines",
        text: `select count(id)::int as placed, (count(*) filter (where id is null))::int as unplaced
                 from machines where app = $1 and state <> 'destroyed'`,
        values: [name],
      });
      const { placed, unplaced } = rows[0] ?? { placed: 0, unplaced: 0 };
      const why =
        isForced || placed === 0
          ? "they are being created; try again when they are"
          : "destroy them first, or force it";
      if (placed + unplaced > 0) throw appNotEmpty(name, placed + unplaced, why);
      await tx.query({ name: "app_delete", text: "delete from apps where name = $1", values: [name] });
      await logAppChange(tx, name);
    });
  }
}

async function madeBefore(tx: Queries, org: string, requestId: string): Promise<App | undefined> {
  const { rows } = await tx.query<App>({
    name: "app_made_before",
    text: `${SELECT} where org = $1 and request_id = $2`,
    values: [org, requestId],
  });
  return rows[0];
}

function reused(requestId: string, { name }: App): Fault {
  const message = `request_id ${requestId} stands for the app ${name}; use a new one for each app`;
  return new Fault("INVALID_ARGUMENT", "REQUEST_ID_REUSED", message, { request_id: requestId, app: name });
}

function taken(name: string): Fault {
  const message = `the app name ${name} is taken; names are shared by all organisations, choose another`;
  return new Fault("ALREADY_EXISTS", "APP_NAME_TAKEN", message, { app: name });
}
