import fc from "fast-check";
import { CREATE_CALLS } from "./postgres-create-calls.ts";
import {
  CREATES,
  create,
  ENTRY,
  event,
  idOf,
  leaseMs,
  MACHINES,
  machine,
  machineId,
  owner,
  STATES,
} from "./postgres-records.ts";
import type { Call, Stores } from "./postgres-stores.ts";

const acquireBy = fc.constantFrom(0, 1);
const host = fc.constantFrom(1, 2);

/** Any call. */
export const call: fc.Arbitrary<Call> = fc.oneof(
  ...CREATE_CALLS,
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
