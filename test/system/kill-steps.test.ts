import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSaga } from "../../src/api/create/steps.ts";
import { describePoint, KILL_POINTS, type KillPoint, KillPoints } from "../support/kill-points.ts";
import { type Invariants, openInvariants } from "./invariants.ts";
import { type Operation, operations } from "./kill-operations.ts";
import { openWorld, type World } from "./world.ts";

/** So that the killed host of one moment may still come up while another is at the next. */
const HOSTS = 3;
const MOST_AWAY = 1;
const SOON = { timeout: 30_000, interval: 5 };
/** Longer than anything that a call leaves to be done after it has answered. */
const AFTER = { timeout: 1_000, interval: 5 };
/**
 * What is left to sweeps that come once a minute: pins that a removal could not drop because the image cache was away, and a machine on a host
 * that died in its award, when then the api died before the host was back.
 */
const SWEPT = /has a pin of|has no pin of|is creating$|is nothing in the record and creating/;

describe("kill -9 at every step", () => {
  let world: World;
  let invariants: Invariants;
  let points: KillPoints;
  /** Where somebody has died in a create. */
  const known: KillPoint[] = [];
  /** Restarts under way, by part. */
  const restarts = new Map<string, Promise<void>>();

  beforeAll(async () => {
    world = await openWorld(HOSTS, { HOSTD_CPUS: "64", HOSTD_MEMORY_MB: "65536" }, KILL_POINTS);
    invariants = await openInvariants(world);
    points = new KillPoints(world.fleet.folder);
  });
  afterAll(async () => {
    points?.close();
    invariants?.close();
    await world?.close();
  });

  it.each(["create", "undone create", "destroy", "stop", "start"] as const)(
    "of a %s: it ends as if nobody had died, once it is asked for again",
    async (name) => {
      const operation = operations(world)[name];
      const found = await enumerate(operation);
      // An undone create begins like any other.
      const all = name === "undone create" ? found.filter((point) => !isKnown(point)) : found;
      if (name === "create") known.push(...all);
      if (name === "create") expectAllStepsAmong(all);
      const ends: Promise<unknown>[] = [];
      const missed: KillPoint[] = [];
      for (const point of interleaved(all)) {
        const { hasDied, end } = await kill(operation, point);
        if (!hasDied) missed.push(point);
        const named = end.catch((cause) =>
          Promise.reject(new Error(`killed ${describePoint(point)}`, { cause })),
        );
        // Looked at in the end.
        named.catch(() => undefined);
        ends.push(named);
        expect(await invariants.always(), `killed ${describePoint(point)}`).toEqual([]);
      }
      await Promise.all(ends);
      // What a service does beside a call may come in another order, or after it.
      expect(missed.length, `not reached: ${missed.map(describePoint).join(", ")}`).toBeLessThan(
        all.length / 8,
      );
      await Promise.all(restarts.values());
      await invariants.expectRest(SWEPT);
    },
    170_000,
  );

  it("what is left to sweeps is gone after one", () => invariants.expectRest(), 120_000);

  /** Whether somebody has died there in a create. */
  function isKnown({ service, span, edge }: KillPoint): boolean {
    return known.some((one) => one.service === service && one.span === span && one.edge === edge);
  }

  async function enumerate(operation: Operation): Promise<readonly KillPoint[]> {
    const { act, finish } = await operation.prepare();
    const all = await points.enumerate(
      () => act().catch(() => undefined),
      () => invariants.expectRest(SWEPT),
    );
    await finish();
    return all;
  }

  /** Makes a call during which a service dies, starts that again, and makes the call once more. The answer's `end` is when that has succeeded. */
  async function kill(
    operation: Operation,
    point: KillPoint,
  ): Promise<{ hasDied: boolean; end: Promise<unknown> }> {
    const parts = world.fleet.parts.filter(({ name }) => name.replace(/-\d+$/, "") === point.service);
    while (restarts.size > MOST_AWAY) await Promise.race(restarts.values());
    await expect.poll(attached, SOON).toBeGreaterThanOrEqual(HOSTS - MOST_AWAY);
    const { act, finish } = await operation.prepare();
    const before = new Map(parts.map(({ name, process }) => [name, process]));
    let hasAnswered = false;
    const answer = points
      .run(point, act)
      .catch(() => undefined)
      .finally(() => {
        hasAnswered = true;
      });
    await expect.poll(() => !points.isArmed || hasAnswered, SOON).toBe(true);
    const hasDied = await expect
      .poll(() => points.isArmed, AFTER)
      .toBe(false)
      .then(
        () => true,
        () => false,
      );
    points.disarm();
    if (!hasDied) return { hasDied, end: answer.then(finish) };
    let victim: string | undefined;
    await expect
      .poll(() => {
        victim = parts.find(
          ({ name, process, state }) =>
            state !== "starting" && process !== before.get(name) && !restarts.has(name),
        )?.name;
        return victim;
      }, SOON)
      .toBeDefined();
    const restart = bringBack(victim ?? "");
    if (!HOST.test(victim ?? "")) await restart;
    return { hasDied, end: answer.then(() => restart).then(finish) };
  }

  async function attached(): Promise<number> {
    const hosts = await world.clients.hosts().catch(() => []);
    return hosts.filter((host) => host.attached).length;
  }

  /** At once, where the supervisor would wait longer after each of many crashes. */
  function bringBack(name: string): Promise<void> {
    const restart = world.fleet
      .kill(name)
      .then(() => world.fleet.start(name))
      .finally(() => restarts.delete(name));
    restart.catch(() => undefined);
    restarts.set(name, restart);
    return restart;
  }
});

const HOST = /^(hostd|imagecache)-/;

/** One service after the other, so that those that have died last have time to come back. */
function interleaved(points: readonly KillPoint[]): readonly KillPoint[] {
  const queues = [...Map.groupBy(points, ({ service }) => service).values()];
  const longest = Math.max(0, ...queues.map((queue) => queue.length));
  return Array.from({ length: longest }).flatMap((_, index) => queues.flatMap((queue) => queue[index] ?? []));
}

function expectAllStepsAmong(points: readonly KillPoint[]): void {
  // Steps are only named here, and take their tools when they are run.
  const { steps } = createSaga({} as Parameters<typeof createSaga>[0]);
  const begun = points.filter(({ edge }) => edge === "begin").map(({ span }) => span);
  expect(begun).toEqual(expect.arrayContaining(steps.map(({ name }) => `saga.create.${name}`)));
}
