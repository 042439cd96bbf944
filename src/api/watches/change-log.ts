import type { Queries } from "../../lib/stores/postgres.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";
import { comparePositions, type Position } from "./position.ts";

/** A machine as watches send it: without configuration and events. */
export type WatchedMachine = Omit<Machine, "config" | "events">;

/** A change that a host has reported. */
export interface LoggedChange {
  readonly position: Position;
  readonly org: string;
  readonly app: string;
  readonly machine: WatchedMachine;
  /** Undefined: only fields have changed. */
  readonly event: MachineEvent | undefined;
}

/** Which machines are watched. */
export interface WatchFilter {
  readonly org: string;
  /** Undefined: of all apps. */
  readonly app: string | undefined;
  /** Undefined: all. */
  readonly machineIds: ReadonlySet<string> | undefined;
}

export interface LogEnds {
  /** Every change before it is visible to readers. */
  readonly frontier: Position;
  /** The last change that was deleted. */
  readonly horizon: Position;
  /** Number of the next transaction. */
  readonly nextXid: bigint;
}

/** Whether every change after a position is in the log. A position from before a restore may be ahead of it. */
export function isKept({ horizon, nextXid }: LogEnds, after: Position): boolean {
  return comparePositions(after, horizon) >= 0 && after.xid <= nextXid;
}

/** Changes in the order of their positions. */
export interface ReadChanges extends LogEnds {
  readonly changes: readonly LoggedChange[];
}

/** A page of the present states of machines. */
export interface PresentMachines {
  readonly machines: readonly WatchedMachine[];
  /** Where the next page begins. Undefined: there is none. */
  readonly after: PresentKey | undefined;
  /** No transaction from this one on is part of what was read. */
  readonly endXid: bigint;
}

interface PresentKey {
  readonly createTime: string;
  readonly createId: string;
}

interface Row {
  readonly xid: string | null;
  readonly place: string;
  readonly org: string;
  readonly app: string;
  readonly machine: WatchedMachine;
  readonly event: MachineEvent | null;
  readonly frontier: string;
  readonly nextXid: string;
  readonly horizonXid: string;
  readonly horizonPlace: string;
}

const FIRST: PresentKey = { createTime: "-infinity", createId: "00000000-0000-0000-0000-000000000000" };

/** Fields of a machine whose create was undone: its row is gone. */
const BLANK = {
  ...{ name: "", region: "", host: "", createTimeMs: 0, serviceAddresses: [] },
  ...{ lastStartPath: "", lastStartTraceId: "", createTraceId: "" },
};

/**
 * Columns of a change: fields that never change are read from the machine, the others from the log. A
 * page is limited before the join, as Postgres underestimates the newest changes and would join all.
 */
const CHANGE = `c.xid::text as xid, c.position::text as place, c.org, c.app, c.event,
  coalesce(m.snapshot - 'config' - 'events', jsonb_build_object('app', c.app, 'org', c.org)) || c.status as machine`;
const HEAD = `select pg_snapshot_xmin(pg_current_snapshot())::text as frontier,
  pg_snapshot_xmax(pg_current_snapshot())::text as "nextXid",
  xid::text as "horizonXid", position::text as "horizonPlace" from machine_changes_horizon`;

/**
 * Reads the log of changes. A transaction's changes become visible when it commits, so readers go no
 * further than the oldest transaction under way: see docs/adr/0029-watches.md.
 */
export class ChangeLog {
  readonly #db: Queries;

  constructor(db: Queries) {
    this.#db = db;
  }

  /** Returns the two ends of the log. */
  async ends(): Promise<LogEnds> {
    const { rows } = await this.#db.query<Row>({ name: "change_log_ends", text: HEAD });
    return endsOf(rows[0]);
  }

  /** Reads changes of organisations, up to the oldest transaction under way. */
  async read(after: Position, orgs: readonly string[], limit: number): Promise<ReadChanges> {
    const { rows } = await this.#db.query<Row>({
      name: "change_log_read",
      text: `select h.*, c.* from (${HEAD}) h left join lateral (
               select ${CHANGE} from (
                 select * from machine_changes c
                  where (c.xid, c.position) > ($1::xid8, $2::bigint) and c.org = any($3)
                    and c.xid < pg_snapshot_xmin(pg_current_snapshot())
                  order by c.xid, c.position limit $4) c left join machines m on m.id = c.machine_id
                order by c.xid, c.position) c on true`,
      values: [after.xid.toString(), after.place.toString(), orgs, limit],
    });
    return { changes: rows.flatMap(changeOf), ...endsOf(rows[0]) };
  }

  /**
   * Reads changes that one watch has missed.
   *
   * @param until position before the oldest transaction under way
   * @returns undefined when changes after `after` were deleted
   */
  async readMissed(
    { org, app, machineIds }: WatchFilter,
    after: Position,
    until: Position,
    limit: number,
  ): Promise<readonly LoggedChange[] | undefined> {
    const { rows } = await this.#db.query<Row & { isGone: boolean }>({
      name: "change_log_missed",
      text: `select h.*, c.*, (h."horizonXid"::xid8, h."horizonPlace"::bigint) > ($1::xid8, $2::bigint) as "isGone"
               from (${HEAD}) h left join lateral (
               select ${CHANGE} from (
                 select * from machine_changes c
                  where c.org = $5 and (c.xid, c.position) > ($1::xid8, $2::bigint)
                    and (c.xid, c.position) <= ($3::xid8, $4::bigint)
                    and ($6::text is null or c.app = $6) and ($7::text[] is null or c.machine_id = any($7))
                  order by c.xid, c.position limit $8) c left join machines m on m.id = c.machine_id
                order by c.xid, c.position) c on true`,
      values: [
        ...[after.xid.toString(), after.place.toString(), until.xid.toString(), until.place.toString()],
        ...[org, app ?? null, machineIds ? [...machineIds] : null, limit],
      ],
    });
    return rows[0]?.isGone ? undefined : rows.flatMap(changeOf);
  }

  /** Reads the present states of machines; of destroyed ones only when they are named. */
  async present(
    { org, app, machineIds }: WatchFilter,
    after: PresentKey = FIRST,
    limit: number,
  ): Promise<PresentMachines> {
    const [by, which] = machineIds
      ? ["ids", "id = any($3)"]
      : ["org", "$3::text[] is null and state <> 'destroyed'"];
    const { rows } = await this.#db.query<{
      machine: WatchedMachine | null;
      createTime: string;
      createId: string;
      endXid: string;
    }>({
      name: `change_log_present_${by}`,
      text: `select m.*, pg_snapshot_xmax(pg_current_snapshot())::text as "endXid" from (select 1) one left join lateral (
               select snapshot - 'config' - 'events' as machine, create_time::text as "createTime", create_id as "createId"
                 from machines
                where org = $1 and snapshot is not null and ($2::text is null or app = $2) and ${which}
                  and (create_time, create_id) > ($4::timestamptz, $5::uuid)
                order by create_time, create_id limit $6) m on true`,
      values: [
        org,
        app ?? null,
        machineIds ? [...machineIds] : null,
        after.createTime,
        after.createId,
        limit,
      ],
    });
    const machines = rows.flatMap(({ machine }) => machine ?? []);
    return {
      machines,
      after: machines.length === limit ? rows.at(-1) : undefined,
      endXid: BigInt(rows[0]?.endXid ?? 0),
    };
  }

  /** Returns the first of the machines that the organisation does not have. */
  async missing({ org, machineIds }: WatchFilter): Promise<string | undefined> {
    const { rows } = await this.#db.query<{ id: string }>({
      name: "change_log_missing",
      text: `select u.id from unnest($1::text[]) u (id)
              where not exists (select 1 from machines m where m.id = u.id and m.org = $2) limit 1`,
      values: [[...(machineIds ?? [])], org],
    });
    return rows[0]?.id;
  }
}

function endsOf(row: Row | undefined): LogEnds {
  if (!row) throw new Error("the log of changes has no horizon");
  return {
    frontier: { xid: BigInt(row.frontier), place: 0n },
    horizon: { xid: BigInt(row.horizonXid), place: BigInt(row.horizonPlace) },
    nextXid: BigInt(row.nextXid),
  };
}

function changeOf({ xid, place, org, app, machine, event }: Row): readonly LoggedChange[] {
  if (xid === null) return [];
  const position = { xid: BigInt(xid), place: BigInt(place) };
  return [{ position, org, app, machine: { ...BLANK, ...machine }, event: event ?? undefined }];
}
