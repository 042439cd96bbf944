import fc from "fast-check";
import { AcquireStore } from "../../../src/api/acquire/acquire-store.ts";
import { type CreateRequest, NEW_CREATE } from "../../../src/api/creates/store/create-state.ts";
import { type Intent, IntentStore } from "../../../src/api/creates/store/intent-store.ts";
import { SagaStore } from "../../../src/api/creates/store/saga-store.ts";
import type { StoredSaga } from "../../../src/api/creates/store/stored-saga.ts";
import type { Transactions } from "../../../src/api/database/gated-database.ts";
import { LeaseStore } from "../../../src/api/database/lease-store.ts";
import { HostStore } from "../../../src/api/hosts/host-store.ts";
import { HistoryStore } from "../../../src/api/machines/history/history-store.ts";
import type { Machine, MachineEvent, MachineState } from "../../../src/api/machines/machine.ts";
import { type MachineId, parseMachineId } from "../../../src/api/machines/machine-id.ts";
import { MachineStore } from "../../../src/api/machines/machine-store.ts";
import { UpdateStore } from "../../../src/api/updates/update-store.ts";

/** Few of each, so that calls meet. Longer than any pause of a busy machine, or over. */
const LEASES_MS = [60_000, -60_000] as const;
export const CREATES = [
  "00000000-0000-4000-8000-000000000001",
  "00000000-0000-4000-8000-000000000002",
] as const;
const OWNERS = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"] as const;
export const MACHINES = ["00001000000001", "00001000000002", "00002000000003"] as const;
const STATES: readonly MachineState[] = ["created", "started", "destroying", "destroyed"];

/** The stores of an api on one database. */
export interface Stores {
  readonly intents: IntentStore;
  readonly sagas: SagaStore;
  readonly machines: MachineStore;
  readonly hosts: HostStore;
  readonly leases: readonly LeaseStore[];
  readonly updates: UpdateStore;
  readonly acquires: readonly AcquireStore[];
  readonly history: HistoryStore;
}

export function storesOn(db: Transactions): Stores {
  return {
    intents: new IntentStore(db),
    sagas: new SagaStore(db),
    machines: new MachineStore(db),
    hosts: new HostStore(db),
    leases: [new LeaseStore(db), new LeaseStore(db)],
    updates: new UpdateStore(db),
    acquires: OWNERS.map((owner) => new AcquireStore(db, owner)),
    history: new HistoryStore(db),
  };
}

/** A call that the stores of both databases are asked for. */
export interface Call {
  readonly name: string;
  readonly ask: (stores: Stores) => Promise<unknown>;
}

const acquireBy = fc.constantFrom(0, 1);
const create = fc.constantFrom(...CREATES);
const owner = fc.constantFrom(...OWNERS);
const machineId = fc.constantFrom(...MACHINES);
const leaseMs = fc.constantFrom(...LEASES_MS);
const host = fc.constantFrom(1, 2);

/** Any call. */
export const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        create,
        owner,
        leaseMs,
        fc.constantFrom("m1", "m2"),
        fc.constantFrom("q1", "q2", undefined),
        fc.constantFrom(256, 900),
      )
      .map(([id, by, ms, name, requestId, memoryMb]) => ({
        name: `begin ${id} ${name} ${requestId} ${memoryMb}`,
        ask: async (to: Stores) => {
          // An id is given once: a create that is there already is not begun again.
          if (await to.sagas.get(id)) return undefined;
          const { isNew, saga } = await to.intents.begin(intent(id, by, ms, name, requestId, memoryMb));
          return { isNew, saga: comparable(saga) };
        },
      })),
  },
  {
    weight: 6,
    arbitrary: fc
      .record({
        id: create,
        by: owner,
        status: fc.constantFrom("running", "undoing", "stuck", "done", "failed"),
        place: fc.option(machineId, { nil: undefined }),
        said: fc.option(fc.tuple(machineId, fc.constantFrom(...STATES), fc.nat(3)), { nil: undefined }),
        isCommitted: fc.boolean(),
        releaseMs: fc.option(leaseMs, { nil: undefined }),
        resolveMs: fc.option(leaseMs, { nil: undefined }),
      })
      // What has failed has no machine.
      .map((write) => (write.status === "failed" ? { ...write, place: undefined, said: undefined } : write))
      .map(({ id, by, status, place, said, isCommitted, releaseMs, resolveMs }) => ({
        name: `write ${id} by ${by}: ${status} at ${place}, said ${said}, ${isCommitted}, ${releaseMs}, ${resolveMs}`,
        ask: (to: Stores) =>
          to.sagas.write(
            { id, owner: by },
            {
              ...{
                entries: [{ step: "resolve", outcome: "done" }],
                state: NEW_CREATE,
                status,
                fault: null,
              },
              progress: [progress(1, "running"), progress(2, "done")],
              ...(place !== undefined
                ? { attempt: attempt(place) }
                : said
                  ? { machine: machine(...said) }
                  : {}),
              ...{
                isCommitted: place === undefined && said !== undefined && isCommitted,
                releaseMs,
                resolveMs,
              },
            },
          ),
      })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(create, owner, leaseMs).map(([id, by, ms]) => ({
      name: `renew ${id} by ${by}`,
      ask: (to: Stores) => to.sagas.renew({ id, owner: by }, ms),
    })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(owner, leaseMs).map(([by, ms]) => ({
      name: `claim by ${by}`,
      ask: async (to: Stores) => sorted((await to.sagas.claim(by, ms, 10)).map(comparable)),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.constant({
      name: "in doubt",
      // How long ago they ended differs by what the calls took.
      ask: async (to: Stores) =>
        sorted(await to.sagas.claimInDoubt(10)).map(({ id, state, endedMs }) => ({
          id,
          state,
          isNow: endedMs < 30_000,
        })),
    }),
  },
  {
    weight: 1,
    arbitrary: create.map((id) => ({
      name: `resolved ${id}`,
      ask: (to: Stores) => to.sagas.markResolved(id),
    })),
  },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.tuple(machineId, fc.constantFrom(...STATES), fc.nat(4)), { maxLength: 2 })
      .map((said) => ({
        name: `apply ${said}`,
        ask: (to: Stores) =>
          to.machines.apply([...new Map(said.map((each) => [each[0], machine(...each)])).values()], false),
      })),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        host,
        fc.constantFrom("one", "other"),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 2 }),
      )
      .map(([number, identity, first, count]) => ({
        name: `events ${first} to ${first + count - 1} of ${number} (${identity})`,
        ask: (to: Stores) =>
          to.hosts.applyEvents(
            number,
            identity,
            Array.from({ length: count }, (_, i) => ({
              sequence: BigInt(first + i),
              reported: { kind: "whole" as const, machine: machine(MACHINES[0], "started", first + i) },
              event: event(`${first + i}`),
            })),
          ),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(machineId, fc.nat(3)).map(([id, generation]) => ({
      name: `miss ${id} of ${generation}`,
      ask: (to: Stores) =>
        to.machines.markMissing(
          { id, state: "started", generation: String(generation), isCommitted: true },
          event(`missing${generation}`),
        ),
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(host, fc.constantFrom("one", "other")).map(([number, identity]) => ({
      name: `announce ${number} (${identity})`,
      ask: (to: Stores) => to.hosts.announce({ ...ENTRY, number, identity }),
    })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(acquireBy, create, fc.constantFrom("k1", "k2", undefined)).map(([by, id, key]) => ({
      name: `begin acquire ${id} with ${key} by ${by}`,
      ask: async (to: Stores) => {
        const hash = Buffer.from(id);
        const begun = { id, org: "acme", key, requestHash: hash, traceId: "t", intents: [] };
        return key === undefined ? undefined : to.acquires[by]?.begin(begun);
      },
    })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(acquireBy, create, fc.nat(2)).map(([by, id, step]) => ({
      name: `record step ${step} of acquire ${id} by ${by}`,
      ask: async (to: Stores) => to.acquires[by]?.record(id, { kind: "start", step, machineId: MACHINES[0] }),
    })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(acquireBy, create, fc.constantFrom("settling", "done", "failed"))
      .map(([by, id, status]) => ({
        name: `end acquire ${id} by ${by}: ${status}`,
        ask: async (to: Stores) =>
          to.acquires[by]?.end(
            id,
            status,
            status === "failed" ? undefined : { machineId: MACHINES[1], step: 1 },
          ),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(acquireBy, create).map(([by, id]) => ({
      name: `reopen, renew and claim acquire ${id} by ${by}`,
      ask: async (to: Stores) => [
        await to.acquires[by]?.reopen(id, "u"),
        await to.acquires[by]?.renew([id]),
        await to.acquires[by]?.claim(5, id),
      ],
    })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(machineId, owner, fc.constantFrom(256, 700, 900), fc.constantFrom("sha256:d", "sha256:e"))
      .map(([id, by, memoryMb, imageDigest]) => ({
        name: `reserve ${memoryMb} MB and ${imageDigest} for an update of ${id} by ${by}`,
        ask: (to: Stores) =>
          to.updates.reserve({ machineId: idOf(id), org: "acme", owner: by, memoryMb, imageDigest }),
      })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(machineId, owner, fc.constantFrom(...STATES), fc.nat(4))
      .map(([id, by, state, generation]) => ({
        name: `finish the update of ${id} by ${by}: ${state}, ${generation}`,
        ask: (to: Stores) =>
          to.updates.finish({ machineId: idOf(id), owner: by }, machine(id, state, generation)),
      })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(0, 1), leaseMs).map(([who, ms]) => ({
      name: `lease for ${who}`,
      ask: async (to: Stores) => to.leases[who]?.acquire("sweep", ms),
    })),
  },
);

/** The acquires of both keys, as requests of the first id see them. */
export function acquiresOf({ acquires }: Stores) {
  return Promise.all(["k1", "k2"].map((key) => acquires[0]?.find("acme", key, Buffer.from(CREATES[0]))));
}

/** An id of a machine, parsed. */
export function idOf(text: string): MachineId {
  const id = parseMachineId(text);
  if (!id) throw new Error(`${text} is no machine id`);
  return id;
}

/** A saga without the time at which it began. */
export function comparable({ createTime: _, ...saga }: StoredSaga) {
  return saga;
}

/** In the order of their ids. */
export function sorted<T extends { readonly id: string }>(some: readonly T[]): readonly T[] {
  return some.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function intent(
  id: string,
  by: string,
  ms: number,
  name: string,
  requestId: string | undefined,
  memoryMb: number,
): Intent {
  return {
    ...{
      id,
      request: request(name, memoryMb),
      requestHash: Buffer.from(name),
      traceparent: "",
      owner: by,
      leaseMs: ms,
    },
    ...(requestId === undefined ? {} : { requestId }),
    makeName: () => name,
  };
}

function request(name: string, memoryMb: number): CreateRequest {
  const guest = { cpuKind: "shared", cpus: 1, memoryMb } as const;
  const stop = { signal: "", timeoutMs: 5_000 };
  const config = { image: "nginx", guest, env: {}, services: [], stop, metadata: {} };
  return { org: "acme", app: "web", name, regions: ["ord"], regionAsked: "", config, skipLaunch: false };
}

function attempt(id: string) {
  const hostNumber = Number.parseInt(id.slice(0, 5), 16);
  const offer = { hostNumber, hostName: `host-${hostNumber}`, hostAddress: "", epoch: "1" };
  return { machineId: id, reservationId: "r", region: "ord", offer, outcome: "asked", reason: "" } as const;
}

function machine(id: string, state: MachineState, generation: number): Machine {
  const { config } = request("m1", 256);
  return {
    ...{
      id,
      name: "m1",
      state,
      generation: String(generation),
      instanceId: `01HF7YAT00ABCDEFGHJKMNPQR${generation}`,
      app: "web",
      org: "acme",
      region: "ord",
      host: "h",
    },
    ...{
      config,
      createTimeMs: 1,
      updateTimeMs: 2,
      events: [event(`of-${generation}`)],
      serviceAddresses: [],
    },
    ...{ lastStartPath: "", lastStartTraceId: "", createTraceId: "" },
    imageRef: { registry: "r", repository: "nginx", tag: "", digest: "sha256:d" },
    imageBytes: 1_048_576 * ((MACHINES as readonly string[]).indexOf(id) + 1),
  };
}

function event(id: string): MachineEvent {
  return { id, type: "start", status: "started", source: "user", timeMs: 3, message: "", reason: "" };
}

function progress(sequence: number, status: "running" | "done") {
  return { sequence, step: "resolve", status, detail: "", bytesDone: 1, bytesTotal: 2, timeMs: 4 } as const;
}

const ENTRY = {
  ...{ name: "h", region: "ord", zone: "a", address: "h:1", capacity: { cpus: 1, memoryMb: 1, diskMb: 1 } },
  ...{ vmm: "sim", acceleration: "none", isolation: "development", vmmReason: "", labels: {}, lastSeenMs: 5 },
};
