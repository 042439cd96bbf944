import type { Queries } from "../../../lib/stores/postgres.ts";
import type { MachineId } from "../ids/machine-id.ts";
import type { MachineConfig, MachineEvent } from "../machine.ts";

/** A version of a machine's configuration. */
export interface MachineVersion {
  /** A ULID: sorts by time. */
  readonly id: string;
  readonly config: MachineConfig;
  readonly createTimeMs: number;
}

/** Reads events and versions of machines that their hosts have reported. */
export class HistoryStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Reads events, newest first. @param before id that they are older than; empty: any */
  async events(machineId: MachineId, before: string, limit: number): Promise<readonly MachineEvent[]> {
    const { rows } = await this.#db.query<{ event: MachineEvent }>({
      name: "history_events",
      text: `select event from machine_events where machine_id = $1 and ($2 = '' or id < $2)
              order by id desc limit $3`,
      values: [machineId, before, limit],
    });
    return rows.map(({ event }) => event);
  }

  /** Reads versions, newest first. @param before id that they are older than; empty: any */
  async versions(machineId: MachineId, before: string, limit: number): Promise<readonly MachineVersion[]> {
    const { rows } = await this.#db.query<MachineVersion>({
      name: "history_versions",
      text: `select instance_id as id, config,
                    floor(extract(epoch from create_time) * 1000)::float8 as "createTimeMs"
               from machine_versions where machine_id = $1 and ($2 = '' or instance_id < $2)
              order by instance_id desc limit $3`,
      values: [machineId, before, limit],
    });
    return rows;
  }
}
