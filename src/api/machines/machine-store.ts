import type { Queries, Statement } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { toJson } from "../database/json.ts";
import type { Machine, MachineEvent, MachineEventOf, MachineState, ReportedMachine } from "./machine.ts";
import type { MachineId } from "./machine-id.ts";

export interface MachineQuery {
  readonly org: string;
  /** Absent: of all apps. */
  readonly app?: string;
  readonly states: readonly MachineState[];
  /** Keys of the last machine of the previous page. */
  readonly after?: PageKey;
  readonly limit: number;
}

/** A machine's position in lists, which begin with the oldest. */
export interface PageKey {
  /** Exact to the microsecond, which a Date is not. */
  readonly createTime: string;
  readonly createId: string;
}

export interface ListedMachine {
  readonly machine: Machine;
  readonly key: PageKey;
}

/** A machine in the database, without its description. */
export interface StoredMachine {
  readonly id: string;
  readonly state: MachineState;
  /** Decimal. */
  readonly generation: string;
  /** False while its create is under way. */
  readonly isCommitted: boolean;
}

/** Machines in the database, as their hosts last described them. */
export class MachineStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /** Reads a machine with its newest 20 events. @param org empty: any */
  async find(id: MachineId, org: string): Promise<Machine | undefined> {
    const { rows } = await this.#db.query<{ machine: Machine }>({
      name: "machine_find",
      text: `select ${withEvents(20)} as machine
               from machines m where id = $1 and ($2 = '' or org = $2) and snapshot is not null`,
      values: [id, org],
    });
    return rows[0]?.machine;
  }

  /** Reads a page, oldest first, each machine with its newest event. */
  async list(query: MachineQuery): Promise<readonly ListedMachine[]> {
    const column = query.app === undefined ? "org" : "app";
    const { rows } = await this.#db.query<ListedMachine>({
      name: `machine_list_${column}`,
      text: `select ${withEvents(1)} as machine,
                    json_build_object('createTime', m.create_time::text, 'createId', m.create_id) as key
               from machines m
              where m.${column} = $1 and m.org = $2 and m.state = any($3) and m.snapshot is not null
                and (m.create_time, m.create_id) > ($4::timestamptz, $5::uuid)
              order by m.create_time, m.create_id limit $6`,
      values: [
        query.app ?? query.org,
        query.org,
        query.states,
        query.after?.createTime ?? "-infinity",
        query.after?.createId ?? NIL,
        query.limit,
      ],
    });
    return rows;
  }

  /** Reads a host's machines that are not destroyed. */
  async ofHost(hostNumber: number): Promise<readonly StoredMachine[]> {
    const { rows } = await this.#db.query<StoredMachine>({
      name: "machine_of_host",
      text: `${STORED} where host_number = $1 and state <> 'destroyed'`,
      values: [hostNumber],
    });
    return rows;
  }

  async withIds(ids: readonly string[]): Promise<readonly StoredMachine[]> {
    const { rows } = await this.#db.query<StoredMachine>({
      name: "machine_with_ids",
      text: `${STORED} where id = any($1)`,
      values: [ids],
    });
    return rows;
  }

  /** Reads ids of an app's machines that have a host and are not destroyed. */
  async ofApp(app: string, org: string, limit: number): Promise<readonly string[]> {
    const { rows } = await this.#db.query<{ id: string }>({
      name: "machine_of_app",
      text: `select id from machines where app = $1 and org = $2 and state <> 'destroyed' and id is not null
              order by create_time limit $3`,
      values: [app, org, limit],
    });
    return rows.map((row) => row.id);
  }

  apply(machines: readonly Machine[]): Promise<void> {
    const whole = machines.map((machine) => ({ kind: "whole", machine }) as const);
    return this.#db.transaction((tx) => applyChanges(tx, whole, []));
  }

  /**
   * Marks a machine that its host no longer has as destroyed, and adds an event.
   *
   * @returns false, and does nothing, when the machine has changed since it was read
   */
  async markMissing(machine: StoredMachine, event: MachineEvent): Promise<boolean> {
    return this.#db.transaction(async (tx) => {
      const { rowCount } = await tx.query({
        name: "machine_mark_missing",
        text: `update machines
                  set state = 'destroyed', generation = generation + 1, update_time = now(),
                      snapshot = snapshot || jsonb_build_object('state', 'destroyed', 'generation', (generation + 1)::text,
                                                                'updateTimeMs', $3::bigint, 'serviceAddresses', '[]'::jsonb)
                where id = $1 and generation = $2 and state <> 'destroyed'`,
        values: [machine.id, machine.generation, event.timeMs],
      });
      if (rowCount > 0) await applyChanges(tx, [], [{ machineId: machine.id, event }]);
      return rowCount > 0;
    });
  }
}

/**
 * Stores machines of a later generation and new events. Skips machines that the database does not
 * have, or has as destroyed: their name may belong to another. Skips a status without its machine.
 */
export async function applyChanges(
  tx: Queries,
  machines: readonly ReportedMachine[],
  events: readonly MachineEventOf[],
): Promise<void> {
  await Promise.all([
    ...(machines.length > 0 ? [tx.query(applyMachines(machines))] : []),
    ...(events.length > 0 ? [tx.query(addEvents(events))] : []),
  ]);
}

function applyMachines(reported: readonly ReportedMachine[]): Statement {
  return {
    name: "machine_apply",
    text: `update machines m
              set state = u.state, generation = u.generation, update_time = now(),
                  snapshot = case when u.is_whole then u.snapshot else m.snapshot || u.snapshot end
             from unnest($1::text[], $2::text[], $3::bigint[], $4::jsonb[], $5::boolean[])
                  as u (id, state, generation, snapshot, is_whole)
            where m.id = u.id and m.state <> 'destroyed' and (m.generation < u.generation or m.snapshot is null)
              and (u.is_whole or m.snapshot is not null)`,
    values: [
      reported.map(({ machine }) => machine.id),
      reported.map(({ machine }) => machine.state),
      reported.map(({ machine }) => machine.generation),
      reported.map((each) => (each.kind === "whole" ? toSnapshot(each.machine) : toJson(each.machine))),
      reported.map(({ kind }) => kind === "whole"),
    ],
  };
}

function addEvents(events: readonly MachineEventOf[]): Statement {
  return {
    name: "machine_events_add",
    text: `insert into machine_events (machine_id, id, event)
           select u.machine_id, u.id, u.event
             from unnest($1::text[], $2::text[], $3::jsonb[]) as u (machine_id, id, event)
            where exists (select 1 from machines m where m.id = u.machine_id)
               on conflict do nothing`,
    values: [
      events.map(({ machineId }) => machineId),
      events.map(({ event }) => event.id),
      events.map(({ event }) => toJson(event)),
    ],
  };
}

/** Returns the column `snapshot` of a machine, which has no events. */
export function toSnapshot(machine: Machine): string {
  return toJson({ ...machine, events: [] });
}

const NIL = "00000000-0000-0000-0000-000000000000";

const STORED = `select id, state, generation, committed as "isCommitted" from machines`;

/** A machine `m` with its newest events. */
function withEvents(limit: number): string {
  return `m.snapshot || jsonb_build_object('events', array(
            select e.event from machine_events e where e.machine_id = m.id order by e.id desc limit ${limit}))`;
}
