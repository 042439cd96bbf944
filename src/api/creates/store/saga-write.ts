import type { SagaEntry } from "../../../lib/saga/saga.ts";
import type { Statement } from "../../../lib/stores/postgres.ts";
import { toJson } from "../../database/json.ts";
import { toSnapshot } from "../../machines/apply-changes.ts";
import type { Machine } from "../../machines/machine.ts";
import { type Attempt, type CreateState, endState } from "./create-state.ts";
import type { FaultData } from "./fault-data.ts";
import type { StepProgress } from "./progress.ts";
import { isFinal, type SagaStatus } from "./stored-saga.ts";

/** A write of a run of a create. */
export interface SagaWrite {
  readonly entries: readonly SagaEntry[];
  readonly state: CreateState;
  /**
   * `failed` also deletes the intent: name and quota are free again. `done` and `failed` leave no
   * more of the request than its digest, and of the state what is needed later.
   */
  readonly status: SagaStatus;
  readonly fault: FaultData | null;
  readonly progress: readonly StepProgress[];
  /** A host that is about to be asked; gives the machine its id. */
  readonly attempt?: Attempt | undefined;
  /** Not together with `attempt` or the status `failed`. */
  readonly machine?: Machine | undefined;
  /** Whether the create has made `machine`. */
  readonly isCommitted?: boolean | undefined;
  /** Gives the saga up; an unfinished one may be claimed after so many milliseconds. */
  readonly releaseMs?: number | undefined;
  /** The saga has ended in doubt, to be resolved after so many milliseconds. */
  readonly resolveMs?: number | undefined;
}

export interface SagaWriteResult {
  readonly owned: number;
  readonly placed: number;
  readonly described: number;
}

/**
 * Makes the statement of a write. A single statement is one round trip and one transaction. It
 * changes nothing unless the run owns the saga; a part that is absent is null.
 */
export function sagaWrite(id: string, owner: string, write: SagaWrite): Statement {
  const { entries, state, status, fault, progress, attempt, machine } = write;
  const { isCommitted = false, releaseMs, resolveMs } = write;
  return {
    name: "saga_write",
    text: TEXT,
    values: [
      id,
      owner,
      toJson(entries),
      toJson(isFinal(status) ? endState(state) : state),
      status,
      fault ? toJson(fault) : null,
      releaseMs ?? null,
      toJson(progress.map(stepRow)),
      attempt ? toJson(placeRow(attempt)) : null,
      machine ? toJson({ id: machine.id, generation: machine.generation, state: machine.state }) : null,
      machine ? toSnapshot(machine) : null,
      isCommitted,
      toJson(isCommitted && machine ? machine.events.map((event) => ({ id: event.id, event })) : []),
      resolveMs ?? null,
    ],
  };
}

function stepRow({ sequence, step, status, detail, bytesDone, bytesTotal, timeMs }: StepProgress) {
  const [bytes_done, bytes_total] = [Math.round(bytesDone), Math.round(bytesTotal)];
  return { sequence, step, status, detail, bytes_done, bytes_total, time: new Date(timeMs).toISOString() };
}

function placeRow({ machineId, offer, region }: Attempt) {
  return { id: machineId, host_number: offer.hostNumber, region };
}

const TEXT = `
with owned as (
  update sagas set entries = $3::jsonb, state = $4::jsonb, status = $5::text, fault = $6::jsonb, update_time = now(),
         request = case when $5::text in ('done', 'failed') then null else request end,
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
), taken_back as (
  -- For those who watch: its host may report that it is destroyed when its row is gone.
  insert into machine_changes (machine_id, org, app, status)
  select m.id, m.org, m.app,
         jsonb_build_object('id', m.id, 'state', 'destroyed', 'generation', (m.generation + 1)::text,
                            'updateTimeMs', floor(extract(epoch from now()) * 1000), 'serviceAddresses', '[]'::jsonb)
    from machines m, owned o
   where ($5::text = 'failed' or $9::jsonb is not null) and m.create_id = o.id and m.id is not null
     and m.snapshot is not null and m.state <> 'destroyed'
), intent_deleted as (
  delete from machines m using owned o where $5::text = 'failed' and m.create_id = o.id
), events_deleted as (
  delete from machine_events
   where $9::jsonb is not null and machine_id in (select m.id from machines m, owned o where m.create_id = o.id)
), placed as (
  update machines m
     set id = $9::jsonb ->> 'id', host_number = ($9::jsonb ->> 'host_number')::int,
         region = $9::jsonb ->> 'region', generation = 0, snapshot = null
    from owned o where $9::jsonb is not null and m.create_id = o.id
  returning 1
), description as (
  select o.id as create_id, $10::jsonb ->> 'id' as id, $10::jsonb ->> 'state' as state,
         ($10::jsonb ->> 'generation')::bigint as generation
    from owned o where $10::jsonb is not null
), described as (
  update machines m
     set committed = m.committed or $12::boolean, update_time = now(),
         state = case when m.generation < d.generation or m.snapshot is null then d.state else m.state end,
         snapshot = case when m.generation < d.generation or m.snapshot is null then $11::jsonb else m.snapshot end,
         generation = greatest(m.generation, d.generation)
    from description d
   where m.create_id = d.create_id and m.id = d.id and m.state not in ('destroying', 'destroyed')
  returning m.id
), events_added as (
  insert into machine_events (machine_id, id, event)
  select d.id, e.id, e.event from described d, jsonb_to_recordset($13::jsonb) as e (id text, event jsonb)
      on conflict do nothing
), version_added as (
  insert into machine_versions (machine_id, instance_id, config, create_time)
  select d.id, $11::jsonb ->> 'instanceId', $11::jsonb -> 'config', now() from described d
   where $12::boolean and $11::jsonb ->> 'instanceId' <> ''
      on conflict do nothing
)
select (select count(*)::int from owned) as owned, (select count(*)::int from placed) as placed,
       (select count(*)::int from described) as described`;
