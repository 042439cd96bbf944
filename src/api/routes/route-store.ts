import type { Queries } from "../../lib/stores/postgres.ts";
import { type AppRoute, goneApp, goneMachine, type HostRoute, type MachineRoute } from "./route.ts";

/** Whether a machine `m` has a service with ports. Word for word the condition of the index `machines_routed`. */
const ROUTED = `m.state <> 'destroyed' and jsonb_path_exists(m.snapshot, '$.config.services[*].ports[*]')`;
const MACHINE = `m.id, m.app, coalesce(m.snapshot ->> 'region', m.region) as region, m.host_number as "hostNumber",
  m.snapshot #> '{config,services}' as services, coalesce(m.snapshot ->> 'instanceId', '') as "instanceId", m.state,
  coalesce((m.snapshot ->> 'cordoned')::boolean, false) as cordoned, m.generation::text as generation,
  coalesce(m.metadata ->> 'fly_process_group', '') as "processGroup"`;
const APP = `a.name, a.org,
  array(select h.hostname from app_hostnames h where h.app = a.name order by h.hostname) as hostnames`;
const HOST = `h.number, h.entry ->> 'name' as name, h.entry ->> 'region' as region, h.entry ->> 'address' as address`;

/** Reads the present routes: what an earlier change was, does not matter to a proxy. */
export class RouteStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Reads a page of machines by id. @param after id of the last one of the page before */
  async machinePage(after: string, limit: number): Promise<readonly MachineRoute[]> {
    const { rows } = await this.#db.query<MachineRoute>({
      name: "route_machine_page",
      text: `select ${MACHINE} from machines m where ${ROUTED} and m.id > $1 order by m.id limit $2`,
      values: [after, limit],
    });
    return rows;
  }

  /** Reads a page of apps by name. */
  async appPage(after: string, limit: number): Promise<readonly AppRoute[]> {
    const { rows } = await this.#db.query<AppRoute>({
      name: "route_app_page",
      text: `select ${APP} from apps a where a.name > $1 order by a.name limit $2`,
      values: [after, limit],
    });
    return rows;
  }

  /** Reads a page of hosts by number. */
  async hostPage(after: number, limit: number): Promise<readonly HostRoute[]> {
    const { rows } = await this.#db.query<HostRoute>({
      name: "route_host_page",
      text: `select ${HOST} from hosts h where h.entry is not null and h.number > $1 order by h.number limit $2`,
      values: [after, limit],
    });
    return rows;
  }

  /**
   * Reads machines that have changed. Those that are not routed any more are gone.
   *
   * @param ids with whether a machine may have lost its services by the change
   */
  async machines(ids: ReadonlyMap<string, boolean>): Promise<readonly MachineRoute[]> {
    if (ids.size === 0) return [];
    const { rows } = await this.#db.query<MachineRoute & { key: string; isKnown: boolean }>({
      name: "route_machines",
      text: `select u.id as key, r.*,
                    exists (select 1 from machines m where m.id = u.id and m.state <> 'destroyed') as "isKnown"
               from unnest($1::text[]) u (id)
               left join lateral (select ${MACHINE} from machines m where m.id = u.id and ${ROUTED}) r on true`,
      values: [[...ids.keys()]],
    });
    return rows.flatMap(({ key, isKnown, ...route }) => {
      if (route.id) return [route];
      return isKnown && !ids.get(key) ? [] : [goneMachine(key)];
    });
  }

  /** Reads apps that have changed. Those that were deleted are gone. */
  async apps(names: ReadonlySet<string>): Promise<readonly AppRoute[]> {
    if (names.size === 0) return [];
    const { rows } = await this.#db.query<AppRoute>({
      name: "route_apps",
      text: `select ${APP} from apps a where a.name = any($1)`,
      values: [[...names]],
    });
    const found = new Set(rows.map(({ name }) => name));
    return [...rows, ...[...names].filter((name) => !found.has(name)).map(goneApp)];
  }

  async hosts(numbers: ReadonlySet<number>): Promise<readonly HostRoute[]> {
    if (numbers.size === 0) return [];
    const { rows } = await this.#db.query<HostRoute>({
      name: "route_hosts",
      text: `select ${HOST} from hosts h where h.entry is not null and h.number = any($1)`,
      values: [[...numbers]],
    });
    return rows;
  }
}
