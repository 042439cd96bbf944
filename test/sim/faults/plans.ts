import type { Fleet } from "../fleet.ts";
import { TTL_MS } from "../services/scheduler.ts";
import { pair } from "../world/network.ts";
import { Random } from "../world/random.ts";
import type { Process } from "../world/world.ts";
import { HOUR_MS, soon } from "./random-faults.ts";

/** How long apis go on ending in {@link planForgottenAwards}. */
const FORGETFUL_MS = 40_000;

/**
 * Another plan: hosts restart in the middle of auctions, which are held twice at the same time because callers lose their connections. The
 * holds of two lives of a host meet then.
 */
export function planRestarts({ world, net, watch }: Fleet): void {
  const random = new Random(world.seed, "restarts");
  net.weather = { lost: 0, repeated: 0, late: 0.1, torn: 0.9 };
  watch.onHeld = ({ process }) => {
    if (!random.chance(0.6)) return;
    const killMs = random.between(0, 3);
    world.after(undefined, killMs, () => process.kill());
    world.after(undefined, killMs + 0.1, () => process.start());
  };
}

/** Another plan: apis pause between an auction and its claim, for just less long than the reservation lives. */
export function planPauses({ world, apis, watch }: Fleet): void {
  const random = new Random(world.seed, "pauses");
  watch.onStored = () => {
    if (!random.chance(0.5)) return;
    for (const api of apis) api.pausedUntilMs = world.nowMs + random.between(0.7, 0.99) * TTL_MS;
  };
}

/**
 * Another plan: awards arrive seconds after they were given up, when their creates have ended. What comes of them is nobody's, and is removed.
 */
export function planLateAwards({ world, net }: Fleet): void {
  const random = new Random(world.seed, "late awards");
  net.fate = (method) => {
    if (method === "release") return "lost";
    return method === "create" && random.chance(0.5) ? { lateMs: random.between(1_000, 6_000) } : undefined;
  };
}

/** The same, and apis end all the time, so the one that cleans up is not the one that knew. */
export function planForgottenAwards(fleet: Fleet): void {
  planLateAwards(fleet);
  const { world, apis } = fleet;
  const random = new Random(world.seed, "forgotten awards");
  for (let atMs = 0; atMs < FORGETFUL_MS; atMs += random.between(500, 2_500)) {
    world.after(undefined, atMs, () => {
      for (const api of apis) api.kill();
    });
    world.after(undefined, atMs + 1, () => {
      for (const api of apis) api.start();
    });
  }
}

/** Another plan: hosts die in awards, and the apis that asked soon after: nobody is left who knew that there may be a machine. */
export function planDeathsInAwards({ world, apis, net, watch }: Fleet): void {
  const random = new Random(world.seed, "deaths");
  let dies = false;
  net.fate = (method) => {
    if (method !== "create") return undefined;
    dies = random.chance(0.4);
    // The award arrives, and the answer does not.
    return dies ? { lateMs: random.between(0.1, 2) } : undefined;
  };
  watch.onAwarded = ({ process }) => {
    if (!dies) return;
    world.after(undefined, random.between(2, 10), () => process.kill());
    world.after(undefined, random.between(500, 5_000), () => process.start());
    for (const api of apis) {
      if (random.chance(0.5)) continue;
      const killMs = random.between(100, 4_000);
      world.after(undefined, killMs, () => api.kill());
      world.after(undefined, killMs + random.between(0, 2_000), () => api.start());
    }
  };
}

/** Another plan: the record is restored from before the creates that are under way. Of what they have done only the sweeper knows. */
export function planRestores({ world, postgres, users }: Fleet): void {
  const random = new Random(world.seed, "restores");
  for (const { atMs } of users.wishes) {
    world.after(undefined, atMs + soon(random, 1_000), () => {
      world.log("postgres", "is restored");
      postgres.goAway();
      for (const { id, status } of [...postgres.tables.sagas.values()]) {
        if (status !== "running") continue;
        postgres.tables.sagas.delete(id);
        postgres.tables.machines.delete(id);
      }
      world.after(undefined, soon(random, 1_000), () => {
        postgres.isAway = false;
      });
    });
  }
}

/** Another plan: hosts die while they change machines, and their clocks are other ones afterwards. */
export function planDeathsInChanges({ world, hosts, histories }: Fleet, untilMs: number): void {
  const random = new Random(world.seed, "deaths in changes");
  for (const { vms } of hosts) {
    vms.fails = random.pick([0, 0.1]);
    vms.clings = random.pick([0, 0, 0.3]);
  }
  histories.onChange = ({ process }) => {
    if (world.nowMs > untilMs || !random.chance(0.1)) return;
    const killMs = soon(random, 200);
    const jumps = random.chance(0.3);
    world.after(undefined, killMs, () => {
      process.kill();
      if (jumps) process.skewMs = Math.round(random.pick([60_000, HOUR_MS]) * random.between(-1, 1));
    });
    world.after(undefined, killMs + soon(random, 2_000), () => process.start());
  };
}

/**
 * Another plan: users acquire machines, and apis and hosts die meanwhile. Nobody is away for as long as an acquire is leased, and no start
 * comes late: see docs/adr/0031-acquire.md for what is not covered.
 */
export function planAcquires({ world, net, users, apis, hosts }: Fleet, untilMs: number): void {
  const random = new Random(world.seed, "acquires of the plan");
  users.acquire(world.seed, untilMs / 2);
  net.weather = { lost: random.pick([0, 0.05]), repeated: 0, late: 0, torn: random.pick([0, 0.2]) };
  for (const { vms } of hosts) vms.fails = random.pick([0, 0, 0.3]);
  for (const { atMs } of users.acquires) {
    for (let i = random.whole(0, 3); i > 0; i--) {
      const process = random.pick([...apis, ...apis, ...hosts.map((host) => host.process)]);
      world.after(undefined, atMs + soon(random, 10_000), () => process.kill());
      world.after(undefined, atMs + 10_000 + soon(random, 2_000), () => process.start());
    }
  }
}

/**
 * Another plan: proxies use machines and stop idle ones, while hosts and proxies die and cannot reach each other. Messages of streams are
 * late with a connection that breaks, never alone.
 */
export function planProxies(fleet: Fleet, untilMs: number): void {
  const { world, net, hosts } = fleet;
  const random = new Random(world.seed, "proxies of the plan");
  const proxies = fleet.useProxies(random.whole(1, 3), untilMs);
  net.weather = { lost: random.pick([0, 0.02]), repeated: 0, late: 0, torn: random.pick([0, 0.2]) };
  const processes = [...proxies, ...hosts.map(({ process }) => process)];
  for (let i = random.whole(0, 8); i > 0; i--) {
    const atMs = random.between(8_000, untilMs);
    const process = random.pick(processes);
    if (random.chance(0.5)) {
      world.after(undefined, atMs, () => process.kill());
      world.after(undefined, atMs + soon(random, 10_000), () => process.start());
    } else {
      const name = pair(random.pick(proxies), random.pick(hosts).process);
      world.after(undefined, atMs, () => net.cut.add(name));
      world.after(undefined, atMs + soon(random, 40_000), () => net.cut.delete(name));
    }
  }
}

/**
 * Another plan: users suspend machines more than anything else, many are saved for later starts, proxies suspend idle ones, and hosts die
 * meanwhile: at any change, and in the moment in which something has been saved and nobody knows.
 */
export function planSuspends(fleet: Fleet, untilMs: number): void {
  const { world, hosts, users, histories } = fleet;
  const random = new Random(world.seed, "suspends of the plan");
  users.suspendMuch();
  fleet.useProxies(random.whole(0, 2), untilMs);
  const dies = (process: Process, killMs: number) => {
    if (world.nowMs > untilMs) return;
    world.after(undefined, killMs, () => process.kill());
    world.after(undefined, killMs + soon(random, 2_000), () => process.start());
  };
  const [atChange, whenSaved] = [random.pick([0, 0.02, 0.1]), random.pick([0, 0.2])];
  for (const { vms, process } of hosts) {
    vms.fails = random.pick([0, 0.1]);
    vms.ends = random.pick([0, 0.2]);
    vms.clings = random.pick([0, 0, 0.2]);
    vms.saveFails = random.pick([0, 0.2]);
    vms.saveDrags = random.pick([0, 0.2]);
    vms.resumeFails = random.pick([0, 0.2]);
    vms.adoptDrags = random.pick([0, 0, 0.2]);
    vms.onSaved = () => {
      if (random.chance(whenSaved)) dies(process, random.between(0, 0.02));
    };
  }
  histories.onChange = ({ process }) => {
    if (random.chance(atChange)) dies(process, soon(random, 200));
  };
}

/** Another plan: hours pass at once, so that what is scheduled is due, and hosts die about then. */
export function planHours({ world, hosts }: Fleet, untilMs: number): void {
  const random = new Random(world.seed, "hours");
  for (const { process, name } of hosts) {
    for (let i = random.whole(1, 3); i > 0; i--) {
      const atMs = random.between(10_000, untilMs);
      world.after(undefined, atMs, () => {
        world.log(name, "is an hour later");
        process.skewMs += HOUR_MS;
      });
      if (random.chance(0.5)) continue;
      world.after(undefined, atMs + soon(random, 1_000), () => process.kill());
      world.after(undefined, atMs + 1_000 + soon(random, 5_000), () => process.start());
    }
  }
}
