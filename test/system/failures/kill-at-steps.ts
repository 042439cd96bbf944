import { afterAll, beforeAll, expect, it } from "vitest";
import { createSaga } from "../../../src/api/creates/saga/steps.ts";
import { Random } from "../../sim/world/random.ts";
import { carryTraces, describePoint, type KillPoint } from "../../support/crash/kill-points.ts";
import type { OperationName } from "./kill-operations.ts";
import { describeOutcome, Killer, type Outcome } from "./killer.ts";

/** The order in which services die follows from it. */
const SEED = Number(process.env["KILL_SEED"] ?? 1);
/** More would say nothing new, and each may take minutes. */
const MOST_FAILURES = 3;
/** How often a moment is tried for that did not come the first time. */
const MOST_TRIES = 5;
/** On a quiet machine a moment takes a second, and a create has some 70. */
const TIMEOUT_MS = 1_800_000;
/**
 * What is left to sweeps that come once a minute: pins that a removal could not drop because the image cache was away, and a machine on a host
 * that died in its award, when then the api died before the host was back.
 */
const SWEPT = /has a pin of|has no pin of|is creating$|is nothing in the database and creating/;

/** Declares the tests of what ends as it should although services die in it. */
export function testKills(names: readonly OperationName[]): void {
  // Two fleets: most of the time passes until a service is back.
  const killers = [new Killer(), new Killer()] as const;
  const [killer] = killers;
  let endTraces: () => void;
  /** Where somebody has died in a create, a start and a stop. */
  const known: KillPoint[] = [];

  beforeAll(async () => {
    endTraces = carryTraces();
    await Promise.all(killers.map((each) => each.open()));
  });
  afterAll(async () => {
    await Promise.all(killers.map((each) => each.close()));
    endTraces?.();
  });

  it.each(names)(
    "of a %s: it ends as if nobody had died, once it is asked for again",
    async (name) => {
      const found = await killer.enumerate(name, SWEPT);
      const isNew = (point: KillPoint) => !known.some((one) => isSameButNth(one, point));
      // An undone create begins like any other. What a host does for a new version is tested step by step without a fleet.
      const all = name === "undone create" || name === "new version" ? found.filter(isNew) : found;
      if (name === "create" || name === "start" || name === "stop") known.push(...all);
      if (name === "create") expectAllStepsAmong(all);
      const order = shuffled(all, new Random(SEED, name));

      const outcomes = await killAt(order);
      const again = [...(await killAt(outcomes.filter(isMissed).map(({ point }) => point)))];
      // How often a service does something may differ: once is enough.
      const died = outcomes.filter(({ victim }) => victim !== undefined);
      const missed = new Set(
        again
          .filter((outcome) => isMissed(outcome))
          .map(({ point }) => point)
          .filter((point) => !died.some((outcome) => isSameButNth(outcome.point, point))),
      );
      const most = all.length / 8;
      for (const point of missed) {
        // Some moments are of work beside the call.
        if (missed.size < most) break;
        const outcome = await killAlone(point);
        again.push(outcome);
        if (!isMissed(outcome)) missed.delete(point);
      }

      const failures = [...outcomes, ...again].filter(isFailure);
      expect(failures.map(describeOutcome), `with KILL_SEED=${SEED}`).toEqual([]);
      expect(missed.size, `not reached: ${[...missed].map(describePoint).join(", ")}`).toBeLessThan(most);
      await Promise.all(killers.map((each) => each.expectRest(SWEPT)));

      async function killAt(points: readonly KillPoint[]): Promise<readonly Outcome[]> {
        const outcomes: Outcome[] = [];
        const ends: Promise<unknown>[] = [];
        const killThere = async (by: Killer, own: readonly KillPoint[]) => {
          for (const point of own) {
            if (outcomes.filter(isFailure).length >= MOST_FAILURES) break;
            const { end } = await by.kill(name, point);
            ends.push(end.then((outcome) => outcomes.push(outcome)));
          }
        };
        await Promise.all(
          killers.map((by, lane) =>
            killThere(
              by,
              points.filter((_, index) => index % killers.length === lane),
            ),
          ),
        );
        await Promise.all(ends);
        return outcomes;
      }

      /** A store writes for several calls at once, in the trace of one of them: nothing else may be under way for a moment to be a call's own. */
      async function killAlone(point: KillPoint): Promise<Outcome> {
        for (let left = MOST_TRIES; ; left--) {
          await killer.expectRest(SWEPT);
          const { end } = await killer.kill(name, point);
          const outcome = await end;
          if (!isMissed(outcome) || left === 1) return outcome;
        }
      }
    },
    TIMEOUT_MS,
  );

  it(
    "what is left to sweeps is gone after one",
    () => Promise.all(killers.map((each) => each.expectRest())),
    150_000,
  );
}

/** Whether it is the same side of the same span, whichever time. */
function isSameButNth(one: KillPoint, other: KillPoint): boolean {
  return one.service === other.service && one.span === other.span && one.edge === other.edge;
}

function isMissed({ victim, found }: Outcome): boolean {
  return victim === undefined && found === undefined;
}

function isFailure({ found }: Outcome): boolean {
  return found !== undefined;
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, rank: random.next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

function expectAllStepsAmong(points: readonly KillPoint[]): void {
  // Steps are only named here, and take their tools when they are run.
  const { steps } = createSaga({} as Parameters<typeof createSaga>[0]);
  const begun = points.filter(({ edge }) => edge === "begin").map(({ span }) => span);
  expect(begun).toEqual(expect.arrayContaining(steps.map(({ name }) => `saga.create.${name}`)));
}
