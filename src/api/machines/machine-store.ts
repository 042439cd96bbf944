import type { Transactions } from "../database/gated-database.ts";
import { applyChanges, applyMissing } from "./apply-changes.ts";
import type { MachineId } from "./ids/machine-id.ts";
import type { Machine, MachineEvent, MachineState } from "./machine.ts";

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

  /**
   * Stores machines as their hosts have them now.
   *
   * @param areReported whether their hosts report the same later, which watches then send
   */
  apply(machines: readonly Machine[], areReported: boolean): Promise<void> {
    const whole = machines.map((machine) => ({ kind: "whole", machine }) as const);
    const changes = areReported ? [] : whole.map((reported) => ({ reported }));
    return this.#db.transaction((tx) => applyChanges(tx, { machines: whole, changes }));
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
      if (rowCount > 0) await applyMissing(tx, machine, event);
      return rowCount > 0;
    });
  }
}

const STORED = `select id, state, generation, committed as "isCommitted" from machines`;

/** A machine `m` with its newest events. */
export function withEvents(limit: number): string {
  return `m.snapshot || jsonb_build_object('events', array(
            select e.event from machine_events e where e.machine_id = m.id order by e.id desc limit ${limit}))`;
}
