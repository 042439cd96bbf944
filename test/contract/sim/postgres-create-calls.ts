import fc from "fast-check";
import { NEW_CREATE } from "../../../src/api/creates/store/create-state.ts";
import {
  attempt,
  comparable,
  create,
  intent,
  leaseMs,
  machine,
  machineId,
  owner,
  progress,
  STATES,
  sorted,
} from "./postgres-records.ts";
import type { Call, Stores } from "./postgres-stores.ts";

/** Calls of the stores of creates. */
export const CREATE_CALLS: readonly fc.WeightedArbitrary<Call>[] = [
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
];
