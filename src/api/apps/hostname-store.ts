import { Fault } from "../../lib/faults/fault.ts";
import type { Queries } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { banned, type Standing } from "../orgs/organization.ts";
import { logAppChange } from "../routes/log-app-change.ts";
import { appNotFound } from "./app.ts";

/** A host name that leads to an app. */
export interface Hostname {
  readonly name: string;
  readonly app: string;
  /** Undefined: every app has it. */
  readonly createTimeMs: number | undefined;
}

/** Of an app. */
const MAX_HOSTNAMES = 100;
const COLUMNS = `hostname as name, app, floor(extract(epoch from create_time) * 1000)::float8 as "createTimeMs"`;

/** Custom host names of apps. A host name belongs to one app of all organisations, and so do those below a wildcard. */
export class HostnameStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** @throws Fault `APP_NOT_FOUND`, `ORG_BANNED`, `HOSTNAME_TAKEN`, `TOO_MANY_HOSTNAMES` */
  add(hostname: string, app: string, org: string): Promise<Hostname> {
    return this.#db.transaction(async (tx) => {
      if ((await lockApp(tx, app, org)) === "banned") throw banned(org);
      const known = await find(tx, hostname);
      if (known) return requireOwn(known, app);
      if (await isBelowOther(tx, hostname, org)) throw taken(hostname);
      const { rows } = await tx.query<Hostname>({
        name: "hostname_add",
        text: `insert into app_hostnames (hostname, app) select $1, $2
                where (select count(*) from app_hostnames where app = $2) < ${MAX_HOSTNAMES}
               on conflict do nothing returning ${COLUMNS}`,
        values: [hostname, app],
      });
      if (rows[0]) {
        await logAppChange(tx, app);
        return rows[0];
      }
      // Another app was given it meanwhile, or this one has as many as it may.
      const other = await find(tx, hostname);
      if (other) return requireOwn(other, app);
      throw tooMany(app);
    });
  }

  /** @throws Fault `APP_NOT_FOUND`, `HOSTNAME_NOT_FOUND` */
  remove(hostname: string, app: string, org: string): Promise<void> {
    return this.#db.transaction(async (tx) => {
      await lockApp(tx, app, org);
      const { rowCount } = await tx.query({
        name: "hostname_remove",
        text: "delete from app_hostnames where hostname = $1 and app = $2",
        values: [hostname, app],
      });
      if (rowCount === 0) throw notFound(hostname, app);
      await logAppChange(tx, app);
    });
  }

  /** Reads the host names of an app, which must be there. */
  async list(app: string): Promise<readonly Hostname[]> {
    const { rows } = await this.#db.query<Hostname>({
      name: "hostname_list",
      text: `select ${COLUMNS} from app_hostnames where app = $1 order by hostname`,
      values: [app],
    });
    return rows;
  }
}

/** Locks an app, so that its host names are counted and changed by one call at a time. */
async function lockApp(tx: Queries, app: string, org: string): Promise<Standing> {
  const { rows } = await tx.query<{ standing: Standing }>({
    name: "hostname_lock_app",
    text: `select o.standing from apps a join organizations o on o.slug = a.org
            where a.name = $1 and a.org = $2 for no key update of a`,
    values: [app, org],
  });
  if (!rows[0]) throw appNotFound(app);
  return rows[0].standing;
}

async function find(tx: Queries, hostname: string): Promise<Hostname | undefined> {
  const { rows } = await tx.query<Hostname>({
    name: "hostname_find",
    text: `select ${COLUMNS} from app_hostnames where hostname = $1`,
    values: [hostname],
  });
  return rows[0];
}

/** Whether a host name leads to an app of another organisation already, by a wildcard. */
async function isBelowOther(tx: Queries, hostname: string, org: string): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: "hostname_find_wildcard",
    text: `select 1 from app_hostnames h join apps a on a.name = h.app where h.hostname = $1 and a.org <> $2`,
    values: [`*${hostname.slice(hostname.indexOf("."))}`, org],
  });
  return rowCount > 0;
}

/** @throws Fault `HOSTNAME_TAKEN` */
function requireOwn(known: Hostname, app: string): Hostname {
  if (known.app === app) return known;
  throw taken(known.name);
}

/** Does not tell who has it. */
function taken(hostname: string): Fault {
  const message = `the host name ${hostname} leads to another app; remove it there first`;
  return new Fault("ALREADY_EXISTS", "HOSTNAME_TAKEN", message, { hostname });
}

function tooMany(app: string): Fault {
  const message = `app ${app} has ${MAX_HOSTNAMES} host names, as many as it may; remove one first, or use a wildcard`;
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_HOSTNAMES", message, {
    app,
    limit: String(MAX_HOSTNAMES),
  });
}

function notFound(hostname: string, app: string): Fault {
  const message = `app ${app} does not have the host name ${hostname}`;
  return new Fault("NOT_FOUND", "HOSTNAME_NOT_FOUND", message, { hostname, app });
}
