import type { Queries, Statement } from "../../lib/stores/postgres.ts";
import { toJson } from "../database/json.ts";
import { timeOfUlid } from "./ids/ulids.ts";
import type { Machine, MachineEvent, ReportedMachine } from "./machine.ts";

/** A change of a machine, as its host has reported it. */
export interface MachineChange {
  readonly reported: ReportedMachine;
  readonly event?: MachineEvent;
}

/** Changes of machines to store in one transaction. */
export interface Changes {
  /** The latest report of each machine. */
  readonly machines: readonly ReportedMachine[];
  /** All changes, in their order. */
  readonly changes: readonly MachineChange[];
}

/** Versions of a configuration that are kept for each machine. */
const VERSIONS = 100;

/**
 * Stores machines of a later generation, their versions, new events, and the changes for watches.
 * Skips machines that the database does not have, or has as destroyed: their name may belong to
 * another. Skips a status of a machine without a snapshot.
 */
export async function applyChanges(tx: Queries, { machines, changes }: Changes): Promise<void> {
  const all = [...changes.map(({ reported }) => reported), ...machines];
  const wholes = all.flatMap((reported) => (reported.kind === "whole" ? [reported.machine] : []));
  const logged = changes.map(({ reported, event }) => ({ machine: reported.machine, event }));
  const texts = new Map<object, string>();
  const statements = [applyMachines(machines, texts), addVersions(wholes), addChanges(logged, texts)];
  await Promise.all(statements.map((statement) => statement && tx.query(statement)));
}

/** @param texts gets the JSON of those that have only a status: the log has the same */
function applyMachines(
  reported: readonly ReportedMachine[],
  texts: Map<object, string>,
): Statement | undefined {
  if (reported.length === 0) return undefined;
  return {
    name: "machine_apply",
    text: `update machines m
              set state = u.state, generation = u.generation, update_time = now(),
                  snapshot = case when u.is_whole then u.snapshot else m.snapshot || u.snapshot end,
                  memory_mb = case when u.is_whole
                                   then coalesce(nullif((u.snapshot #>> '{config,guest,memoryMb}')::int, 0), m.memory_mb)
                                   else m.memory_mb end
             from unnest($1::text[], $2::text[], $3::bigint[], $4::jsonb[], $5::boolean[])
                  as u (id, state, generation, snapshot, is_whole)
            where m.id = u.id and m.state <> 'destroyed' and (m.generation < u.generation or m.snapshot is null)
              and (u.is_whole or m.snapshot is not null)`,
    values: [
      reported.map(({ machine }) => machine.id),
      reported.map(({ machine }) => machine.state),
      reported.map(({ machine }) => machine.generation),
      reported.map(({ kind, machine }) => {
        if (kind === "whole") return toSnapshot(machine);
        const text = toJson(machine);
        texts.set(machine, text);
        return text;
      }),
      reported.map(({ kind }) => kind === "whole"),
    ],
  };
}

/** Adds the event of a machine that was marked as destroyed because its host no longer has it. */
export async function applyMissing(
  tx: Queries,
  { id, generation }: Pick<Machine, "id" | "generation">,
  event: MachineEvent,
): Promise<void> {
  const status = { id, state: event.status, updateTimeMs: event.timeMs, serviceAddresses: [] };
  const machine = { ...status, generation: String(BigInt(generation) + 1n) };
  const statement = addChanges([{ machine, event }]);
  if (statement) await tx.query(statement);
}

/** Adds the versions of configurations, and removes all but the newest of the same machines. */
function addVersions(machines: readonly Machine[]): Statement | undefined {
  const versioned = machines.flatMap(({ id, instanceId = "", config }) => {
    const timeMs = timeOfUlid(instanceId);
    return timeMs === undefined ? [] : [{ id, instanceId, config, createTime: new Date(timeMs) }];
  });
  // A statement takes each row once. The last one counts: metadata changes without a new version.
  const versions = [...new Map(versioned.map((each) => [`${each.id} ${each.instanceId}`, each])).values()];
  if (versions.length === 0) return undefined;
  return {
    name: "machine_versions_add",
    text: `with added as (
             insert into machine_versions (machine_id, instance_id, config, create_time)
             select u.machine_id, u.instance_id, u.config, u.create_time
               from unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[])
                    as u (machine_id, instance_id, config, create_time)
              where exists (select 1 from machines m where m.id = u.machine_id)
                 on conflict (machine_id, instance_id) do update set config = excluded.config
             returning machine_id)
           delete from machine_versions v using (select distinct machine_id from added) a
            where v.machine_id = a.machine_id
              and v.instance_id < (select o.instance_id from machine_versions o where o.machine_id = a.machine_id
                                    order by o.instance_id desc offset ${VERSIONS - 1} limit 1)`,
    values: [
      versions.map(({ id }) => id),
      versions.map(({ instanceId }) => instanceId),
      versions.map(({ config }) => toJson(config)),
      versions.map(({ createTime }) => createTime),
    ],
  };
}

/** A change of a machine to store in the log that watches read. */
interface NewChange {
  readonly machine: Pick<Machine, "id" | "generation"> & Partial<Machine>;
  readonly event: MachineEvent | undefined;
}

/** Adds events, and logs changes in their order, after `machines` was updated in the same transaction. */
function addChanges(
  changes: readonly NewChange[],
  texts: ReadonlyMap<object, string> = new Map(),
): Statement | undefined {
  if (changes.length === 0) return undefined;
  return {
    name: "machine_changes_add",
    text: `with known as (
             select u.nth, m.id, m.org, m.app, u.status, u.event_id, u.event,
                    not (m.state = 'destroyed' and m.generation < u.generation) as is_logged
               from unnest($1::text[], $2::bigint[], $3::jsonb[], $4::text[], $5::jsonb[])
                    with ordinality as u (id, generation, status, event_id, event, nth)
               join machines m on m.id = u.id),
           events as (
             insert into machine_events (machine_id, id, event)
             select id, event_id, event from known where event is not null on conflict do nothing)
           insert into machine_changes (machine_id, org, app, status, event)
           select id, org, app, status, event from known where is_logged order by nth`,
    values: [
      changes.map(({ machine }) => machine.id),
      changes.map(({ machine }) => machine.generation),
      changes.map(({ machine }) => texts.get(machine) ?? toJson(loggedStatus(machine))),
      changes.map(({ event }) => event?.id ?? null),
      changes.map(({ event }) => (event ? toJson(event) : null)),
    ],
  };
}

/** Left out of the log: fields that never change, and fields that watches do not send. */
const UNLOGGED: ReadonlySet<string> = new Set(["name", "app", "org", "config", "events"]);

function loggedStatus(machine: NewChange["machine"]) {
  return Object.fromEntries(Object.entries(machine).filter(([name]) => !UNLOGGED.has(name)));
}

/** Returns the column `snapshot` of a machine, which has no events. */
export function toSnapshot(machine: Machine): string {
  return toJson({ ...machine, events: [] });
}
