import type { Queries } from "../../../lib/stores/postgres.ts";
import { toJson } from "../../database/json.ts";
import type { Machine, MachineState } from "../machine.ts";
import { withEvents } from "../machine-store.ts";

/** Which machines a list has, and in which order. */
export interface MachineFilter {
  readonly org: string;
  /** Absent: of all apps. */
  readonly app?: string;
  readonly states: readonly MachineState[];
  /** Empty: in all. */
  readonly regions: readonly string[];
  /** Entries of metadata that a machine must have. */
  readonly metadata: Readonly<Record<string, string>>;
  /** By Postgres' clock. Absent: all. */
  readonly updatedAfter?: Date;
  /** Oldest first. */
  readonly orderBy: "create_time" | "update_time";
}

export interface MachineQuery extends MachineFilter {
  /** Events of each machine. */
  readonly events: 1 | 20;
  /** Keys of the last machine of the previous page. */
  readonly after?: PageKey;
  readonly limit: number;
}

/** A machine's position in a list. */
export interface PageKey {
  /** Of its creation or update. Exact to the microsecond, which a Date is not. */
  readonly time: string;
  readonly createId: string;
}

export interface ListedMachine {
  readonly machine: Machine;
  readonly key: PageKey;
}

const NIL = "00000000-0000-0000-0000-000000000000";

/** Reads pages of machines. */
export class ListStore {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  async list(query: MachineQuery): Promise<readonly ListedMachine[]> {
    const { app, org, states, regions, metadata, updatedAfter, orderBy, events, after, limit } = query;
    const column = app === undefined ? "org" : "app";
    const { rows } = await this.#db.query<ListedMachine>({
      name: `machine_list_${column}_${orderBy}_${events}`,
      text: `select ${withEvents(events)} as machine,
                    json_build_object('time', m.${orderBy}::text, 'createId', m.create_id) as key
               from machines m
              where m.${column} = $1 and m.org = $2 and m.state = any($3) and m.snapshot is not null
                and (m.${orderBy}, m.create_id) > ($4::timestamptz, $5::uuid)
                and ($7::text[] is null or m.region = any($7::text[]))
                and ($8::jsonb is null or m.metadata @> $8::jsonb)
                and ($9::timestamptz is null or m.update_time > $9::timestamptz)
              order by m.${orderBy}, m.create_id limit $6`,
      values: [
        app ?? org,
        org,
        states,
        after?.time ?? "-infinity",
        after?.createId ?? NIL,
        limit,
        regions.length > 0 ? regions : null,
        Object.keys(metadata).length > 0 ? toJson(metadata) : null,
        updatedAfter ?? null,
      ],
    });
    return rows;
  }
}
