import { expect, test } from "vitest";
import {
  planAcquires,
  planDeathsInAwards,
  planDeathsInChanges,
  planForgottenAwards,
  planHours,
  planLateAwards,
  planPauses,
  planProxies,
  planRestarts,
  planRestores,
  planSuspends,
} from "./faults/plans.ts";
import { firstFailing } from "./first-failing.ts";
import { simulate } from "./simulate.ts";

test("a seed goes the same way whenever it is simulated, watched or not", async () => {
  const first = await simulate(7, { isVerbose: true });
  await simulate(8);
  const again = await simulate(7, { isVerbose: true });

  expect(again.lines).toEqual(first.lines);
  expect(again.lines.length).toBeGreaterThan(50);
  expect((await simulate(7)).fingerprint).toBe(first.fingerprint);
  expect((await simulate(8)).fingerprint).not.toBe(first.fingerprint);
});

test.each([
  ["hosts restart in the middle of auctions", planRestarts],
  ["apis pause for just less long than reservations live", planPauses],
  ["awards arrive after they were given up", planLateAwards],
  ["they do, and whoever knew of them has ended", planForgottenAwards],
  ["hosts die in awards, and whoever asked them soon after", planDeathsInAwards],
  ["the record is restored from before a create", planRestores],
  ["hosts die while they change machines, and their clocks are other ones then", planDeathsInChanges],
  ["hours pass at once, and what is scheduled is due", planHours],
  ["proxies use machines, stop idle ones, and are lost", planProxies],
  ["machines are suspended, saved and resumed while hosts die", planSuspends],
  ["users acquire machines, and apis and hosts die meanwhile", planAcquires],
])("every invariant holds while %s", async (_what, plan) => {
  expect(await firstFailing(40, { plan })).toBeUndefined();
});
