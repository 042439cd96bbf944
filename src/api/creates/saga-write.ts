import type { SagaEntry } from "../../lib/saga/saga.ts";
import type { Statement } from "../../lib/stores/postgres.ts";
import { toJson } from "../database/json.ts";
import type { Machine } from "../machines/machine.ts";
import { toSnapshot } from "../machines/machine-store.ts";
import type { FaultData } from "./fault-data.ts";
import type { SagaStatus } from "./saga-row.ts";
import type { Attempt, CreateState } from "./steps/create-state.ts";
import type { StepProgress } from "./steps/progress.ts";

/** Everything that a run of a create stores at a time: all of it or nothing. */
export interface SagaWrite {
  readonly entries: readonly SagaEntry[];
  readonly state: CreateState;
  readonly status: SagaStatus;
  readonly fault: FaultData | undefined;
  /** What is new for those who watch. */
  readonly progress: readonly StepProgress[];
  /** A host that is about to be asked, and the machine's id with it: from here on the record knows the machine. */
  readonly attempt?: Attempt | undefined;
  /** What a host said of the machine; what the record has already had later from it counts more. Never together with `attempt`. */
  readonly machine?: Machine | undefined;
  /** The machine, `machine` given, is in the record for good. */
  readonly isRecorded?: boolean | undefined;
  /** Nobody owns the saga any more; unless it is finished it may be claimed after so many milliseconds. */
  readonly releaseMs?: number | undefined;
  /** The saga has ended and left something in doubt, which is settled after so many milliseconds: see `Settler`. */
  readonly resolveMs?: number | undefined;
}

/** How many rows the parts of a write have changed; a part that was not wanted has changed none. */
export interface SagaWritten {
  readonly owned: number;
  readonly placed: number;
  readonly recorded: number;
}

/**
 * The statement of a write. One, so that it costs one round trip and is a transaction by itself; every part counts only when the run owns the
 * saga. A part that is not wanted is null.
 */
export function sagaWrite(id: string, owner: string, write: SagaWrite): Statement {
  const { entries, state, status, fault, progress, attempt, machine } = write;
  const { isRecorded = false, releaseMs, resolveMs } = write;
  return {
    name: "saga_write",
    text: TEXT,
    values: [
      id,
      owner,
      toJson(entries),
      toJson(state),
      status,
      fault ? toJson(fault) : null,
      releaseMs ?? null,
      toJson(progress.map(stepRow)),
      attempt ? toJson(placeRow(attempt)) : null,
      machine ? toJson({ id: machine.id, generation: machine.generation, state: machine.state }) : null,
      machine ? toSnapshot(machine) : null,
      isRecorded,
      toJson(isRecorded && machine ? machine.events.map((event) => ({ id: event.id, event })) : []),
      resolveMs ?? null,
    ],
  };
}

function stepRow({ sequence, step, status, detail, bytesDone, bytesTotal, timeMs }: StepProgress) {
  const [bytes_done, bytes_total] = [Math.round(bytesDone), Math.round(bytesTotal)];
  return { sequence, step, status, detail, bytes_done, bytes_total, time: new Date(timeMs).toISOString() };
}

function placeRow({ machineId, offer, region }: Attempt) {
  return { id: machineId, host_number: offer.hostNumber, region: region ?? null };
}

const TEXT = `
with owned as (
  update sagas set entries = $3::jsonb, state = $4::jsonb, status = $5::text, fault = $6::jsonb, update_time = now(),
         owner = case when $7::bigint is null then owner end,
         lease_time = case when $7::bigint is null then lease_time else now() + $7::bigint * interval '1 millisecond' end,
         resolve_time = case when $14::bigint is null then resolve_time else now() + $14::bigint * interval '1 millisecond' end,
         attempts = attempts + case when $7::bigint is not null and $5::text = 'stuck' then 1 else 0 end
   where id = $1::uuid and owner = $2::uuid
  returning id
), steps as (
  insert into saga_steps (saga_id, sequence, step, status, detail, bytes_done, bytes_total, time)
  select o.id, s.*
    from owned o,
         jsonb_to_recordset($8::jsonb) as s (sequence int, step text, status text, detail text, bytes_done bigint,
                                             bytes_total bigint, time timestamptz)
      on conflict (saga_id, sequence) do update
     set detail = excluded.detail, bytes_done = excluded.bytes_done, bytes_total = excluded.bytes_total, time = excluded.time
), forgotten as (
  delete from machine_events
   where $9::jsonb is not null and machine_id in (select m.id from machines m, owned o where m.create_id = o.id)
), placed as (
  update machines m
     set id = $9::jsonb ->> 'id', host_number = ($9::jsonb ->> 'host_number')::int,
         region = coalesce($9::jsonb ->> 'region', m.region), generation = 0, snapshot = null
    from owned o where $9::jsonb is not null and m.create_id = o.id
  returning 1
), said as (
  select o.id as create_id, $10::jsonb ->> 'id' as id, $10::jsonb ->> 'state' as state,
         ($10::jsonb ->> 'generation')::bigint as generation
    from owned o where $10::jsonb is not null
), recorded as (
  update machines m
     set recorded = m.recorded or $12::boolean, update_time = now(),
         state = case when m.generation < s.generation or m.snapshot is null then s.state else m.state end,
         snapshot = case when m.generation < s.generation or m.snapshot is null then $11::jsonb else m.snapshot end,
         generation = greatest(m.generation, s.generation)
    from said s
   where m.create_id = s.create_id and m.id = s.id and m.state not in ('destroying', 'destroyed')
  returning m.id
), told as (
  insert into machine_events (machine_id, id, event)
  select r.id, e.id, e.event from recorded r, jsonb_to_recordset($13::jsonb) as e (id text, event jsonb)
      on conflict do nothing
)
select (select count(*)::int from owned) as owned, (select count(*)::int from placed) as placed,
       (select count(*)::int from recorded) as recorded`;
