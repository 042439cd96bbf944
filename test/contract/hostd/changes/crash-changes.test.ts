import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { Machine } from "../../../../src/hostd/machines/machine.ts";
import { expectedPins, sweep } from "../../../../src/hostd/operations/reconcile.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectRightness, liveUntil, stepsOf } from "../crash.ts";
import { Death } from "../death.ts";
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

/** Changes machines in every way, and leaves those that ran running. */
async function life(host: TestHost): Promise<void> {
  const { id } = await host.created({ exec: ["/bin/first"] });
  await host.start(id, { watchMs: 0 });
  const { nonce: leaseNonce } = await host.acquire(id);
  await host.metadata(id, { set: { a: "1" } });
  await host.restart(id, { leaseNonce });
  await host.update(id, { leaseNonce, digest: OTHER, exec: ["/bin/second"] });
  await host.update(id, { leaseNonce, exec: ["sim-exec-fail"], ...BACK }).catch(() => {});
  await host.update(id, { leaseNonce, exec: ENDS, ...BACK }).catch(() => {});
  await host.update(id, { leaseNonce, exec: ["/bin/third"], ...BACK });
  const idle = await host.created();
  await host.update(idle.id, { digest: OTHER });
  const restarted = await host.created({
    exec: ENDS,
    config: { restart: { policy: "always", maxRetries: 1 } },
  });
  await host.start(restarted.id, { watchMs: 0 });
  const once = await host.created({ exec: ENDS, config: { autoDestroy: true } });
  await host.start(once.id, { watchMs: 0 });
  for (const [machine, state] of [
    [restarted.id, MachineState.STOPPED],
    [once.id, MachineState.DESTROYED],
  ] as const)
    await expect.poll(async () => (await host.get(machine)).state, POLL).toBe(state);
}

/** Returns what is wrong with a machine that a restarted host has brought to rest. */
function wrongWith({ id, state, spec, update, events }: Machine): string[] {
  const [program = ""] = spec.config.init.exec;
  const wasInterrupted = events.some(({ reason }) => reason === "START_INTERRUPTED");
  const ran = events.some(({ type }) => type === "start");
  const wrong: string[] = [];
  if (update || spec.previous) wrong.push("its update is not over");
  if (program.startsWith("/bin/") && ran && state !== "started" && !wasInterrupted)
    wrong.push(`${program} is ${state}`);
  if (program === "sim-exec-fail") wrong.push("the version that cannot be run is there");
  if (spec.config.autoDestroy && ran && state !== "destroyed" && !wasInterrupted)
    wrong.push("it has not destroyed itself");
  if (spec.config.restart && ran && state !== "stopped") wrong.push(`its policy leaves it ${state}`);
  return wrong.map((text) => `${id}: ${text}`);
}

/** Kills a host at a step, and expects that the next one is right. */
async function killedAt(at: number, steps: readonly string[]): Promise<void> {
  const dir = join(folder.path, String(at));
  mkdirSync(dir);
  const images = new FakeImages();
  await liveUntil(new Death(at), { dir, images }, life);

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
    throw new Error(`killed at step ${at}, "${steps[at]}", after "${steps[at - 1]}"`, { cause });
  } finally {
    await after.close();
  }
}

test("a host killed at any step of a change completes it or takes it back", async () => {
  const steps = await stepsOf(life);
  expect(steps.length).toBeGreaterThan(80);

  // Several at a time: most of a life is waiting.
  const left = steps.keys();
  const killEach = async (): Promise<void> => {
    for (const at of left) await killedAt(at, steps);
  };
  await Promise.all(Array.from({ length: 4 }, killEach));
}, 240_000);
