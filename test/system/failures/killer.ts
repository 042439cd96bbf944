import { expect } from "vitest";
import type { Part } from "../../../dev/supervisor/part.ts";
import { describePoint, KILL_POINTS, type KillPoint, KillPoints } from "../../support/crash/kill-points.ts";
import { type Invariants, openInvariants } from "../world/invariants.ts";
import { openWorld, type World } from "../world/world.ts";
import { type OperationName, operations } from "./kill-operations.ts";

const HOSTS = 3;
const ROOM = { HOSTD_CPUS: "64", HOSTD_MEMORY_MB: "65536" };
/** Longer than the longest call. */
const SOON = { timeout: 70_000, interval: 5 };
/** Longer than anything that a call leaves to be done after it has answered. */
const AFTER = { timeout: 3_000, interval: 5 };
/** For a process to come up and for everybody to find it again. */
const BACK_MS = 60_000;
const WELL = { timeout: BACK_MS, interval: 20 };

/** How it went at one moment. */
export interface Outcome {
  readonly point: KillPoint;
  /** The part that died; undefined when nobody came to that moment. */
  readonly victim?: string;
  /** What is wrong afterwards; undefined when all is as if nobody had died. */
  readonly found?: string;
}

interface Site {
  readonly world: World;
  readonly invariants: Invariants;
  readonly points: KillPoints;
}

/**
 * Kills services at moments of a call, one moment after the other. Each begins with a fleet that is seen to be well: one that does not become
 * so is replaced, so that what went wrong at one moment is nothing to the next.
 */
export class Killer {
  #site: Site | undefined;
  /** Calls whose end is awaited. */
  readonly #pending = new Set<Promise<Outcome>>();

  /** Brings up a fleet. Idempotent. */
  async open(): Promise<void> {
    await this.#use();
  }

  /** Every moment of a call at which somebody can be killed. @param unless violations that take a sweep */
  enumerate(name: OperationName, unless: RegExp): Promise<readonly KillPoint[]> {
    return this.#orRenew(async ({ world, points, invariants }) => {
      const { act, finish } = await operations(world)[name].prepare();
      const all = await points.enumerate(
        () => act().catch(() => undefined),
        () => invariants.expectRest(unless),
      );
      await finish();
      return all;
    });
  }

  /**
   * Makes a call during which a service dies, and starts that again. Resolves once the fleet is well; its answer's `end`, later, when the call
   * has been made once more and all is as if nobody had died: an api that died in a create has kept it for itself for a while.
   */
  async kill(name: OperationName, point: KillPoint): Promise<{ readonly end: Promise<Outcome> }> {
    const { world, points, invariants } = await this.#use();
    let victim: Part | undefined;
    const outcome = (err?: unknown): Outcome => ({
      point,
      ...(victim ? { victim: victim.name } : {}),
      ...(err === undefined ? {} : { found: err instanceof Error ? err.message : String(err) }),
    });
    try {
      const { act, finish } = await operations(world)[name].prepare();
      const before = new Map(world.fleet.parts.map((part) => [part, part.restarts]));
      const ended = () => world.fleet.parts.filter((part) => part.restarts > (before.get(part) ?? 0));
      const { answer } = await reach(points, point, act);
      if (!points.isArmed) {
        await expect.poll(() => ended().length, SOON).toBeGreaterThan(0);
        [victim] = ended();
        if (victim) await bringBack(victim);
      }
      points.disarm();
      await expectWell(world, invariants);
      expect(
        ended()
          .map((part) => part.name)
          .join(),
        "who has ended",
      ).toBe(victim?.name ?? "");
      const end = answer.then(finish).then(() => outcome(), outcome);
      this.#pending.add(end);
      void end.then(() => this.#pending.delete(end));
      return { end };
    } catch (err) {
      points.disarm();
      await this.#renewUnlessWell();
      return { end: Promise.resolve(outcome(err)) };
    }
  }

  /** Waits until nothing is under way. @param unless violations that take a sweep */
  expectRest(unless?: RegExp): Promise<void> {
    return this.#orRenew(({ invariants }) => invariants.expectRest(unless));
  }

  async close(): Promise<void> {
    const site = this.#site;
    this.#site = undefined;
    site?.invariants.close();
    await site?.world.close();
  }

  async #use(): Promise<Site> {
    if (this.#site) return this.#site;
    const world = await openWorld(HOSTS, ROOM, KILL_POINTS);
    const site = {
      world,
      invariants: await openInvariants(world),
      points: new KillPoints(world.fleet.folder),
    };
    this.#site = site;
    return site;
  }

  async #renewUnlessWell(): Promise<void> {
    const { world, invariants } = await this.#use();
    const isWell = await expectWell(world, invariants).then(
      () => true,
      () => false,
    );
    if (!isWell) await this.#renew();
  }

  /** What has gone wrong here is nothing to what comes next. */
  async #orRenew<T>(work: (site: Site) => Promise<T>): Promise<T> {
    const site = await this.#use();
    try {
      return await work(site);
    } catch (err) {
      await this.#renew();
      throw err;
    }
  }

  /** Gives the fleet up; the next who wants one gets another. */
  async #renew(): Promise<void> {
    await Promise.all(this.#pending);
    // What it leaves behind is part of what has been found already.
    await this.close().catch(() => undefined);
  }
}

/** How an outcome is told. */
export function describeOutcome({ point, victim, found }: Outcome): string {
  return `${victim ?? "nobody"} killed: ${describePoint(point)}${found === undefined ? "" : `: ${found}`}`;
}

/** Resolves once somebody has died there, or the call is over and nobody will. `answer` is when the call has ended. */
async function reach(
  points: KillPoints,
  point: KillPoint,
  act: () => Promise<unknown>,
): Promise<{ readonly answer: Promise<unknown> }> {
  let hasAnswered = false;
  const answer = points
    .run(point, act)
    .catch(() => undefined)
    .finally(() => {
      hasAnswered = true;
    });
  await expect.poll(() => !points.isArmed || hasAnswered, SOON).toBe(true);
  await expect
    .poll(() => points.isArmed, AFTER)
    .toBe(false)
    .catch(() => undefined);
  return { answer };
}

/** At once, where its supervisor would wait longer after each of many crashes; unless that was faster. */
async function bringBack(part: Part): Promise<void> {
  if (part.state !== "waiting") return part.whenReady(BACK_MS);
  await part.kill();
  await part.start();
}

/** Everybody is there, every host is attached, and no host has promised too much or has what another one has. */
async function expectWell({ fleet, clients }: World, invariants: Invariants): Promise<void> {
  let found: readonly string[] = [];
  const look = async () => {
    const hosts = await clients.hosts().catch(() => []);
    const attached = hosts.filter((host) => host.attached).length;
    found = [
      ...fleet.parts.filter(({ state }) => state !== "ready").map(({ name, state }) => `${name} is ${state}`),
      ...(attached === HOSTS ? [] : [`${attached} of ${HOSTS} hosts are attached`]),
      ...(await invariants.always()),
    ];
    return found.length;
  };
  await expect
    .poll(look, WELL)
    .toBe(0)
    .catch((cause) => {
      // The assertion's own message would be cut short.
      throw new Error(`the fleet does not get well: ${found.join("; ")}`, { cause });
    });
}
