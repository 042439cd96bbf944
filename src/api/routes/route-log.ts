import type { Queries } from "../../lib/stores/postgres.ts";
import type { ReadResult } from "../watches/log-follower.ts";
import { laterPosition, type Position } from "../watches/position.ts";
import type { Routes } from "./route.ts";
import type { RouteStore } from "./route-store.ts";

/** Changes of routes, as they are now, up to a position. */
export interface RouteChanges extends ReadResult {
  readonly routes: Routes;
}

interface Row {
  readonly xid: string | null;
  readonly place: string;
  readonly machineId: string | null;
  readonly mayLose: boolean;
  readonly app: string | null;
  readonly hostNumber: number | null;
  readonly frontier: string;
  readonly nextXid: string;
  readonly isGone: boolean;
}

const LIMIT = 500;
/** Of both tables: after a position, and before the oldest transaction under way. */
const NEW = `(c.xid, c.position) > ($1::xid8, $2::bigint) and c.xid < pg_snapshot_xmin(pg_current_snapshot())
  order by c.xid, c.position limit $3`;

/**
 * Reads which routes have changed, in the order of positions: machines from the log of changes, apps
 * and hosts from `route_changes`. See docs/adr/0029-watches.md.
 */
export class RouteLog {
  readonly #db: Queries;
  readonly #store: RouteStore;

  constructor(db: Queries, store: RouteStore) {
    this.#db = db;
    this.#store = store;
  }

  /**
   * Reads changes after a position, at most 500.
   *
   * @returns undefined when some of them are not kept any more
   */
  async read(after: Position): Promise<RouteChanges | undefined> {
    // A report of a whole machine has its times, and may be of a version without services.
    const { rows } = await this.#db.query<Row>({
      name: "route_log_read",
      text: `select h.*, c.* from (
               select pg_snapshot_xmin(pg_current_snapshot())::text as frontier,
                      pg_snapshot_xmax(pg_current_snapshot())::text as "nextXid",
                      (xid, position) > ($1::xid8, $2::bigint)
                        or $1::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as "isGone"
                 from machine_changes_horizon) h
             left join lateral (
               select u.xid::text as xid, u.position::text as place, u.machine_id as "machineId", u.may_lose as "mayLose",
                      u.app, u.host_number as "hostNumber"
                 from ((select c.xid, c.position, c.machine_id, null::text as app, null::integer as host_number,
                               c.status ? 'createTimeMs' and c.event ->> 'type' is distinct from 'launch' as may_lose
                          from machine_changes c where ${NEW})
                       union all
                       (select c.xid, c.position, null, c.app, c.host_number, false from route_changes c where ${NEW})) u
                order by u.xid, u.position limit $3) c on true`,
      values: [after.xid.toString(), after.place.toString(), LIMIT],
    });
    const [first] = rows;
    if (!first) throw new Error("the log of changes has no horizon");
    if (first.isGone) return undefined;
    const changes = rows.filter(({ xid }) => xid !== null);
    const frontier = { xid: BigInt(first.frontier), place: 0n };
    const last = changes.at(-1);
    const isMore = changes.length === LIMIT;
    const position =
      isMore && last?.xid
        ? { xid: BigInt(last.xid), place: BigInt(last.place) }
        : laterPosition(after, frontier);
    const routes = await this.#present(changes);
    return { routes, position, isMore, isBlocked: frontier.xid < BigInt(first.nextXid) };
  }

  async #present(changes: readonly Row[]): Promise<Routes> {
    const machines = new Map<string, boolean>();
    const apps = new Set<string>();
    const hosts = new Set<number>();
    for (const { machineId, mayLose, app, hostNumber } of changes) {
      if (machineId !== null) machines.set(machineId, mayLose || (machines.get(machineId) ?? false));
      if (app !== null) apps.add(app);
      if (hostNumber !== null) hosts.add(hostNumber);
    }
    const store = this.#store;
    return {
      apps: await store.apps(apps),
      hosts: await store.hosts(hosts),
      machines: await store.machines(machines),
    };
  }
}
