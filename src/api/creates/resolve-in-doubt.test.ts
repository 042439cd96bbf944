import { expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { Target } from "../machines/machines.ts";
import { resolveInDoubt } from "./resolve-in-doubt.ts";
import { type CreateState, NEW_CREATE, withAttempt, withOutcome } from "./store/create-state.ts";
import type { InDoubtCreate } from "./store/saga-store.ts";

const DAY_MS = 24 * 60 * 60_000;
const NEVER = new AbortController().signal;

/** A create that has asked hosts 1 and 2 in vain, and has its machine on host 3. */
const STATE = [1, 2, 3].reduce<CreateState>((state, hostNumber) => {
  const offer = { hostNumber, hostName: `host-${hostNumber}`, hostAddress: "", epoch: "1" };
  const asked = withAttempt(state, `m${hostNumber}`, "r", "ord", offer);
  return withOutcome(asked, `m${hostNumber}`, hostNumber === 3 ? "placed" : "in_doubt");
}, NEW_CREATE);

/** A resolver, the creates that are due for it, and what it does. */
function setUp(due: InDoubtCreate[], unreachable: readonly number[] = []) {
  const destroyed: string[] = [];
  const resolved: string[] = [];
  const sagas = {
    claimInDoubt: async (limit: number) => due.splice(0, limit),
    markResolved: async (id: string) => void resolved.push(id),
  };
  const hostd = {
    async destroyMachine({ number }: HostAddress, { machineId }: Target) {
      if (unreachable.includes(number)) throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "it is away");
      destroyed.push(machineId);
      return undefined;
    },
  };
  return { resolve: () => resolveInDoubt({ sagas, hostd }, NEVER), destroyed, resolved };
}

test("what is in doubt is destroyed, and resolved only when no award can be on its way any more", async () => {
  const soon = setUp([{ id: "c", state: STATE, endedMs: 7_999 }]);
  await soon.resolve();
  const late = setUp([{ id: "c", state: STATE, endedMs: 8_000 }]);
  await late.resolve();

  expect([soon.destroyed, soon.resolved]).toEqual([["m1", "m2"], []]);
  expect([late.destroyed, late.resolved]).toEqual([["m1", "m2"], ["c"]]);
});

test("a host that does not answer leaves its create to be resolved later, for a day", async () => {
  const away = setUp([{ id: "c", state: STATE, endedMs: DAY_MS - 1 }], [1]);
  await away.resolve();
  const gone = setUp([{ id: "c", state: STATE, endedMs: DAY_MS }], [1]);
  await gone.resolve();

  expect([away.destroyed, away.resolved]).toEqual([["m2"], []]);
  expect([gone.destroyed, gone.resolved]).toEqual([["m2"], ["c"]]);
});

test("a round goes on until nothing is due", async () => {
  const due = Array.from({ length: 40 }, (_, i) => ({ id: `c${i}`, state: STATE, endedMs: 9_000 }));
  const { resolve, resolved } = setUp(due);

  await resolve();

  expect(resolved).toHaveLength(40);
});
