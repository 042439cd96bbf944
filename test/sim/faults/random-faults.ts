import type { Fleet } from "../fleet.ts";
import { pair } from "../world/network.ts";
import { Random } from "../world/random.ts";
import type { Process } from "../world/world.ts";

export const HOUR_MS = 60 * 60_000;

/** What can go wrong once, at a time. To add a fault, add it here; what can go wrong all the time is weather, below. */
type Fault = (fleet: Fleet, random: Random) => void;

/** After so many more of its events: most come in the steps of a create, so that is where it dies. */
const KILL: Fault = (fleet, random) => {
  const process = random.pick(fleet.programs);
  const events = Math.floor(soon(random, 100) + 1);
  process.inEvents(events, () => {
    process.kill();
    fleet.world.after(undefined, soon(random, 15_000), () => process.start());
  });
};

/** Longer than any TTL, at times. */
const PAUSE: Fault = (fleet, random) => {
  const process = random.pick(fleet.programs);
  const ms = soon(random, 40_000);
  fleet.world.log(process.name, "is paused", () => `for ${Math.round(ms)} ms`);
  process.pausedUntilMs = fleet.world.nowMs + ms;
};

const JUMP: Fault = (fleet, random) => {
  const process = random.pick<Process>([...fleet.programs, fleet.redis.process, fleet.postgres.process]);
  process.skewMs = Math.round(random.between(-60_000, 60_000));
  if (process === fleet.redis.process) fleet.redisJumpedMs = fleet.world.nowMs;
  if (process === fleet.postgres.process) fleet.postgresJumpedMs = fleet.world.nowMs;
  fleet.world.log(process.name, "has another clock", () => `by ${process.skewMs} ms`);
};

/** A host is found to have been an hour wrong: what is due by its clock was, or is not for long. */
const HOUR: Fault = (fleet, random) => {
  const { process } = random.pick(fleet.hosts);
  process.skewMs += random.pick([-HOUR_MS, HOUR_MS]);
  fleet.world.log(process.name, "has another clock", () => `by ${process.skewMs} ms`);
};

const FLUSH_REDIS: Fault = (fleet) => {
  fleet.world.log("redis", "forgets everything");
  fleet.redis.reservations.flush();
};

const LOSE_REDIS: Fault = (fleet, random) => {
  fleet.world.log("redis", "goes away");
  fleet.redis.isAway = true;
  fleet.world.after(undefined, soon(random, 10_000), () => {
    fleet.world.log("redis", "is back");
    fleet.redis.isAway = false;
  });
};

const LOSE_POSTGRES: Fault = (fleet, random) => {
  fleet.world.log("postgres", "goes away");
  fleet.postgres.goAway();
  fleet.world.after(undefined, soon(random, 15_000), () => {
    fleet.world.log("postgres", "is back");
    fleet.postgres.isAway = false;
  });
};

const CUT: Fault = (fleet, random) => {
  const a = random.pick(fleet.programs);
  const name = pair(a, random.pick([...fleet.programs, fleet.users.process].filter((b) => b !== a)));
  fleet.world.log("network", "is cut", () => name);
  fleet.net.cut.add(name);
  fleet.world.after(undefined, soon(random, 20_000), () => fleet.net.cut.delete(name));
};

const LOSE_IMAGES: Fault = (fleet, random) => {
  const { images, name } = random.pick(fleet.hosts);
  fleet.world.log(name, "has no image cache");
  images.isAway = true;
  fleet.world.after(undefined, soon(random, 15_000), () => {
    images.isAway = false;
  });
};

const FAULTS: readonly Fault[] = [
  KILL,
  KILL,
  KILL,
  PAUSE,
  PAUSE,
  JUMP,
  HOUR,
  FLUSH_REDIS,
  LOSE_REDIS,
  LOSE_POSTGRES,
  CUT,
  LOSE_IMAGES,
];

/**
 * Plans the faults of a schedule up to a time. Each schedule has some kinds of them only, so that one kind does not hide another; most come
 * in the moments in which a create is under way, where there is something to break.
 */
export function planFaults(fleet: Fleet, untilMs: number): void {
  const { world, net, postgres, redis } = fleet;
  const random = new Random(world.seed, "faults");
  const kinds = FAULTS.filter(() => random.chance(0.5));
  const count = kinds.length === 0 ? 0 : random.pick([0, 3, 6, 12, 24]);
  for (let i = 0; i < count; i++) {
    const fault = random.pick(kinds);
    const atMs = random.chance(0.7)
      ? random.pick(fleet.users.wishes).atMs + soon(random, 3_000)
      : random.between(0, untilMs);
    world.after(undefined, Math.min(atMs, untilMs), () => fault(fleet, random));
  }
  const badness = random.pick([0.3, 1, 1, 2]);
  const rarely = (most: number) => (random.chance(0.4) ? badness * random.between(0, most) : 0);
  net.weather = { lost: rarely(0.1), repeated: rarely(0.2), late: rarely(0.1), torn: rarely(0.3) };
  postgres.breaks = rarely(0.05);
  redis.breaks = rarely(0.1);
  for (const host of fleet.hosts) {
    host.vms.fails = rarely(0.3);
    host.vms.ends = rarely(0.5);
    host.vms.clings = rarely(0.3);
    host.vms.saveFails = rarely(0.3);
    host.vms.saveDrags = rarely(0.3);
    host.vms.resumeFails = rarely(0.3);
  }
}

/** From half a millisecond to `longest`, and as often below a tenth of it as above. */
export function soon(random: Random, longest: number): number {
  return 0.5 * (longest / 0.5) ** random.next();
}
