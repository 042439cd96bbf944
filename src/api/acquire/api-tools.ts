import { hasReason } from "../../lib/faults/fault.ts";
import type { Queries } from "../../lib/stores/postgres.ts";
import type { Creates } from "../creates/creates.ts";
import { placedAttempt } from "../creates/store/create-state.ts";
import type { SagaStore } from "../creates/store/saga-store.ts";
import { toJson } from "../database/json.ts";
import type { Leases } from "../leases/leases.ts";
import type { MachineChanges } from "../machines/changes/changes.ts";
import { hostUnreachable } from "../machines/faults.ts";
import type { HostStatus } from "../machines/machine.ts";
import type { Machines } from "../machines/machines.ts";
import type { Shares } from "../shares/shares.ts";
import type { AcquireTools, Candidate, CandidateQuery } from "./acquire-tools.ts";

export interface ApiToolsParts {
  readonly machines: Machines;
  readonly changes: Pick<MachineChanges, "suspend">;
  readonly leases: Leases;
  readonly creates: Creates;
  readonly sagas: Pick<SagaStore, "find">;
  readonly database: Queries;
  readonly shares: Pick<Shares, "take">;
  readonly statusOf: (hostNumber: number) => HostStatus;
}

/** Makes the tools of acquires from the api's own operations. */
export function apiTools(parts: ApiToolsParts): AcquireTools {
  const { machines, changes, leases, creates, sagas, database, shares, statusOf } = parts;
  const take = (org: string, action: "start" | "create"): void => {
    const refusal = shares.take(org, action);
    if (refusal) throw refusal;
  };
  return {
    statusOf,
    async start(id, nonce, caller) {
      take(caller.org, "start");
      const leased = nonce === "" ? {} : { leaseNonce: nonce };
      return machines.start(id, { watchMs: undefined, ...leased }, caller);
    },
    async stop(id, caller) {
      await machines.stop(id, { signal: "", ignoreLease: true }, caller).catch(unlessGone);
    },
    async suspend(id, caller) {
      await changes.suspend(id, { leaseNonce: "", ignoreLease: true }, caller);
    },
    async destroy(id, caller) {
      await machines.destroy(id, { force: true, ignoreLease: true }, caller).catch(unlessGone);
    },
    async get(id, caller) {
      const view = await machines.get(id, caller).catch(unlessGone);
      if (view?.hostStatus === "unreachable") throw hostUnreachable(id);
      return view?.machine.state === "destroyed" ? undefined : view?.machine;
    },
    async lease(id, ttlMs, caller) {
      return (await leases.acquire(id, { ttlMs, description: "acquire", nonce: "" }, caller)).nonce;
    },
    releaseLease: (id, nonce, caller) => leases.release(id, nonce, caller),
    async create(request, requestId, caller) {
      return (await creates.create(request, requestId, caller)).machine;
    },
    async created(org, requestId) {
      const saga = await sagas.find(org, requestId);
      if (saga && saga.status !== "done" && saga.status !== "failed") return undefined;
      return { machineId: saga?.status === "done" ? placedAttempt(saga.state)?.machineId : undefined };
    },
    candidates: (query) => candidates(database, query),
    chargeCreate: (org) => take(org, "create"),
  };
}

/** Machines that are ranked of each region, on either side of a random time: an app may have tens of thousands. */
const MAX_RANKED = 2_000;
/** A machine whose create is under way may be about to be started for whoever creates it. */
const FITS = `app = $1 and org = $2 and state in ('stopped', 'suspended', 'created') and committed
    and (asked.region is null or region = asked.region)
    and ($4::jsonb is null or metadata @> $4::jsonb)
    and (state <> 'created' or not exists (select 1 from sagas where id = create_id and status = 'running'))`;

/**
 * Finds machines in random order within a region, so that concurrent acquires try different ones, and those of different hosts first, as
 * a full host refuses all of its own.
 */
async function candidates(database: Queries, query: CandidateQuery): Promise<readonly Candidate[]> {
  const { rows } = await database.query<Candidate>({
    name: "acquire_candidates",
    text: `with span as (select min(create_time) as oldest, max(create_time) as newest from machines where app = $1),
             pivot as (select oldest + (newest - oldest) * random() as time from span),
             asked as (select region, place from unnest(
               case when cardinality($3::text[]) = 0 then array[null]::text[] else $3::text[] end
             ) with ordinality as regions (region, place))
           select id, memory_mb as "memoryMb" from (
             select found.*, asked.place, row_number() over (partition by found.region, host_number order by random()) as nth
               from asked cross join pivot cross join lateral (
                 (select id, memory_mb, region, host_number from machines
                   where ${FITS} and create_time >= pivot.time order by create_time, create_id limit ${MAX_RANKED})
                 union all
                 (select id, memory_mb, region, host_number from machines
                   where ${FITS} and create_time < pivot.time order by create_time desc, create_id desc limit ${MAX_RANKED})
               ) found
           ) candidates
            order by place, nth, random() limit $5`,
    values: [
      ...[query.app, query.org, query.regions],
      ...[Object.keys(query.metadata).length > 0 ? toJson(query.metadata) : null, query.limit],
    ],
  });
  return rows;
}

/** Ignores MACHINE_NOT_FOUND and rethrows every other error. */
function unlessGone(err: unknown): undefined {
  if (!hasReason(err, "MACHINE_NOT_FOUND")) throw err;
}
