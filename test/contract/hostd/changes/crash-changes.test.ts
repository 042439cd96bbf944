import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { type Machine, machineId } from "../../../../src/hostd/machines/machine.ts";
import { expectedPins, sweep } from "../../../../src/hostd/operations/reconcile.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { deathsOf, expectRightness, type Life, liveUntil, stepsAfter } from "../crash/crash.ts";
import { Death } from "../crash/death.ts";
import { FakeImages, hostFolder, startHost, type TestHost } from "../fixture.ts";

const OTHER = `sha256:${"e".repeat(64)}`;
const POLL = { timeout: 20_000, interval: 5 };
const ENDS = ["sim-exit", "1", "sim-run-for", "5"];
const BACK = { rollback: true, readyTimeout: durationToProto(60) };

let folder: ReturnType<typeof hostFolder>;
beforeEach(() => {
  folder = hostFolder();
});
afterEach(() => folder.remove());

/** A change, and the steps before it, at which the host does not die. */
interface Case {
  readonly before: Life;
  readonly change: (host: TestHost, id: string) => Promise<unknown>;
}

const running: Life = async (host) => {
  await host.start((await host.created({ exec: ["/bin/first"] })).id, { watchMs: 0 });
};
const idle = (
  exec: string[],
  config: NonNullable<Parameters<TestHost["created"]>[0]>["config"] = {},
): Life => {
  return async (host) => void (await host.created({ exec, config }));
};
/** Starts a machine whose program ends by itself. */
const runsUntil = (state: MachineState): Case["change"] => {
  return async (host, id) => {
    await host.start(id, { watchMs: 0 });
    await expect.poll(async () => (await host.get(id)).state, POLL).toBe(state);
  };
};

/** Short ones: each is lived again for each of its steps. */
const CASES: Readonly<Record<string, Case>> = {
  "an update of a leased machine": {
    before: running,
    async change(host, id) {
      const { nonce: leaseNonce } = await host.acquire(id);
      await host.metadata(id, { set: { a: "1" } });
      await host.update(id, { leaseNonce, digest: OTHER, exec: ["/bin/second"] });
    },
  },
  "a restart": { before: running, change: (host, id) => host.restart(id) },
  "a version that cannot be run": {
    before: running,
    change: (host, id) => host.update(id, { exec: ["sim-exec-fail"], ...BACK }).catch(() => {}),
  },
  "a version that ends": {
    before: running,
    change: (host, id) => host.update(id, { digest: OTHER, exec: ENDS, ...BACK }).catch(() => {}),
  },
  "a version that becomes ready": {
    before: running,
    change: (host, id) => host.update(id, { exec: ["/bin/third"], ...BACK }),
  },
  "an update of a machine that does not run": {
    before: idle([]),
    change: (host, id) => host.update(id, { digest: OTHER }),
  },
  "a suspend": { before: running, change: (host, id) => host.suspend(id) },
  "a start of a suspended machine": {
    before: async (host) => {
      await running(host);
      await host.suspend(host.machines.list()[0]?.id ?? "");
    },
    change: (host, id) => host.start(id, { watchMs: 0 }),
  },
  "a first start with a snapshot, and one from it": {
    before: async (host) =>
      void (await host.created({ exec: ["/bin/first"], config: { snapshot: "ready" } })),
    async change(host, id) {
      await host.start(id, { watchMs: 0 });
      await expect.poll(() => host.machines.get(machineId(id), "").snapshot?.bytes, POLL).toBeGreaterThan(0);
      await host.restart(id);
    },
  },
  "a stop of a suspended machine": {
    before: async (host) => {
      await running(host);
      await host.suspend(host.machines.list()[0]?.id ?? "");
    },
    change: (host, id) => host.stop(id),
  },
  "a restart by the policy": {
    before: idle(ENDS, { restart: { policy: "always", maxRetries: 1 } }),
    change: runsUntil(MachineState.STOPPED),
  },
  "a machine that destroys itself": {
    before: idle(ENDS, { autoDestroy: true }),
    change: runsUntil(MachineState.DESTROYED),
  },
};

function lifeOf({ change }: Case): Life {
  return async (host) => void (await change(host, host.machines.list()[0]?.id ?? ""));
}

/** Returns what is wrong with a machine that a restarted host has brought to rest. */
function wrongWith({ id, state, spec, update, events }: Machine): string[] {
  const [program = ""] = spec.config.init.exec;
  const wasInterrupted = events.some(({ reason }) => reason === "START_INTERRUPTED");
  const ran = events.some(({ type }) => type === "start");
  const wrong: string[] = [];
  if (update || spec.previous) wrong.push("its update is not over");
  const rests = events.some(
    ({ type, status }) => type === "suspend" && (status === "suspended" || status === "stopped"),
  );
  if (rests && state !== "suspended" && state !== "started" && state !== "stopped")
    wrong.push(`a suspend leaves it ${state}`);
  if (program.startsWith("/bin/") && ran && state !== "started" && !wasInterrupted && !rests)
    wrong.push(`${program} is ${state}`);
  if (program === "sim-exec-fail") wrong.push("the version that cannot be run is there");
  if (spec.config.autoDestroy && ran && state !== "destroyed" && !wasInterrupted)
    wrong.push("it has not destroyed itself");
  if (spec.config.restart && ran && state !== "stopped") wrong.push(`its policy leaves it ${state}`);
  return wrong.map((text) => `${id}: ${text}`);
}

/** Kills a host at a step, and expects that the next one is right. */
async function killedAt(name: string, each: Case, at: number, steps: readonly string[]): Promise<void> {
  const dir = join(folder.path, `${name} ${at}`);
  mkdirSync(dir);
  const images = new FakeImages();
  await liveUntil(new Death(at), { dir, images }, async (host) => {
    await each.before(host);
    await lifeOf(each)(host);
  });

  const after = await startHost({ dir, images });
  try {
    await expect.poll(() => after.machines.list().flatMap((machine) => wrongWith(machine)), POLL).toEqual([]);
    await expectRightness(after);
    await sweep(after.host, after.machines);
    const pins = expectedPins(after.machines.list()).map(({ digest, owner }) => `${digest} ${owner}`);
    expect([...images.pins].sort()).toEqual([...pins].sort());
    for (const { id, state } of after.machines.list()) {
      if (state === "creating") await after.prepare(id);
      if (state !== "destroyed") await after.destroyLeased(id);
    }
    await expectRightness(after);
    expect(after.host.ledger.sums().allocated).toEqual({ cpus: 0, memoryMb: 0, diskMb: 0 });
  } catch (cause) {
    throw new Error(`${name}, killed at step ${at}, "${steps[at]}", after "${steps[at - 1]}"`, { cause });
  } finally {
    await after.close();
  }
}

test("a host killed at any step of a change completes it or takes it back", async () => {
  const deaths: (() => Promise<void>)[] = [];
  for (const [name, each] of Object.entries(CASES)) {
    const { from, steps } = await stepsAfter(each.before, lifeOf(each));
    expect(steps.length, name).toBeGreaterThan(from);
    for (const at of deathsOf(steps, from)) deaths.push(() => killedAt(name, each, at, steps));
  }
  expect(deaths.length).toBeGreaterThan(60);

  // Several at a time: most of a life is waiting.
  const left = deaths.values();
  const killEach = async (): Promise<void> => {
    for (const kill of left) await kill();
  };
  await Promise.all(Array.from({ length: 4 }, killEach));
}, 600_000);
