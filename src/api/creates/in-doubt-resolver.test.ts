import { expect, test } from "vitest";
import { Fault } from "../../lib/runtime/fault.ts";
import { InDoubtResolver } from "./in-doubt-resolver.ts";
import type { InDoubt } from "./saga-store.ts";
import { type CreateState, NOT_BEGUN, withAttempt, withOutcome } from "./steps/create-state.ts";

const DAY_MS = 24 * 60 * 60_000;
const NEVER = new AbortController().signal;

/** A create that has asked hosts 1 and 2 in vain, and has its machine on host 3. */
const STATE = [1, 2, 3].reduce<CreateState>((state, hostNumber) => {
  const offer = { hostNumber, hostName: `host-${hostNumber}`, hostAddress: "", epoch: "1" };
  const asked = withAttempt(state, `m${hostNumber}`, "r", "ord", offer);
  return withOutcome(asked, `m${hostNumber}`, hostNumber === 3 ? "placed" : "lost");
}, NOT_BEGUN);

/** A settler, the creates that are due for it, and what it does. */
function setUp(due: InDoubt[], unreachable: readonly number[] = []) {
  const destroyed: string[] = [];
  const settled: string[] = [];
  const sagas = {
    inDoubt: async (limit: number) => due.splice(0, limit),
    settled: async (id: string) => void settled.push(id),
  };
  const hosts = {
    async destroy({ number }: { readonly number: number }, machineId: string) {
      if (unreachable.includes(number)) throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "it is away");
      destroyed.push(machineId);
    },
  };
  return { inDoubtResolver: new InDoubtResolver(sagas, hosts), destroyed, settled };
}

test("what is in doubt is destroyed, and settled only when no award can be on its way any more", async () => {
  const soon = setUp([{ id: "c", state: STATE, endedMs: 7_999 }]);
  await soon.inDoubtResolver.run(NEVER);
  const late = setUp([{ id: "c", state: STATE, endedMs: 8_000 }]);
  await late.inDoubtResolver.run(NEVER);

  expect([soon.destroyed, soon.settled]).toEqual([["m1", "m2"], []]);
  expect([late.destroyed, late.settled]).toEqual([["m1", "m2"], ["c"]]);
});

test("a host that does not answer leaves its create to be settled later, for a day", async () => {
  const away = setUp([{ id: "c", state: STATE, endedMs: DAY_MS - 1 }], [1]);
  await away.inDoubtResolver.run(NEVER);
  const gone = setUp([{ id: "c", state: STATE, endedMs: DAY_MS }], [1]);
  await gone.inDoubtResolver.run(NEVER);

  expect([away.destroyed, away.settled]).toEqual([["m2"], []]);
  expect([gone.destroyed, gone.settled]).toEqual([["m2"], ["c"]]);
});

test("a round goes on until nothing is due", async () => {
  const due = Array.from({ length: 40 }, (_, i) => ({ id: `c${i}`, state: STATE, endedMs: 9_000 }));
  const { inDoubtResolver, settled } = setUp(due);

  await inDoubtResolver.run(NEVER);

  expect(settled).toHaveLength(40);
});
