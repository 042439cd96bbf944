import { afterAll, beforeAll, expect, test } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { machineId } from "../../../src/hostd/machines/machine.ts";
import { FakeImages, startHost, type TestHost } from "../../contract/hostd/fixture.ts";
import { type Bench, openBench } from "../support/fixture.ts";

const WAIT = { timeout: 60_000, interval: 50 };
const COUNT = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.2; done";

/** An image cache with one image that can be run. */
class OneImage extends FakeImages {
  readonly #rootfs: string;

  constructor(rootfs: string) {
    super();
    this.#rootfs = rootfs;
    const entrypoint = ["sh", "-c", COUNT];
    this.config = { ...this.config, entrypoint, cmd: [], env: [], stopSignal: "SIGKILL" };
  }

  override async *ensure(...args: Parameters<FakeImages["ensure"]>): ReturnType<FakeImages["ensure"]> {
    for await (const step of super.ensure(...args))
      yield step.kind === "ready" ? { ...step, image: { ...step.image, rootfs: this.#rootfs } } : step;
  }
}

let bench: Bench;
let host: TestHost;
beforeAll(async () => {
  bench = await openBench({ startPaths: ["cold"] });
  host = await startHost({
    vmm: () => bench.vmm,
    images: new OneImage(bench.image),
    settings: { startTimeoutMs: 60_000, capacity: { cpus: 8, memoryMb: 4_096, diskMb: 65_536 } },
  });
});
afterAll(async () => {
  await host?.close();
  await bench?.close();
});

/** Returns what the machine has printed in all its runs. */
async function printed(id: string): Promise<number[]> {
  const found: number[] = [];
  const query = { tail: undefined, afterSequence: 0, follow: false, signal: new AbortController().signal };
  for await (const lines of host.logs.read(id, query)) found.push(...lines.map(({ text }) => Number(text)));
  return found;
}

test("a machine is saved when it is ready, started from that, suspended and resumed", async () => {
  const { id } = await host.created({ config: { snapshot: "ready" } });
  const snapshot = () => host.machines.get(machineId(id), "").snapshot;
  expect((await host.start(id, { watchMs: 0 })).startPath).toBe("cold");
  await expect.poll(() => snapshot()?.bytes, WAIT).toBeGreaterThan(0);
  const atSave = Math.max(0, ...(await printed(id)));
  await expect.poll(async () => (await printed(id)).at(-1), WAIT).toBeGreaterThan(atSave + 1);
  await host.stop(id);
  const first = (await printed(id)).length;

  expect((await host.start(id, { watchMs: 0 })).startPath).toBe("snapshot");
  await expect.poll(async () => (await printed(id)).length, WAIT).toBeGreaterThan(first + 3);
  await host.suspend(id);
  expect((await host.get(id)).state).toBe(MachineState.SUSPENDED);
  await expect.poll(() => bench.vmm.list(), WAIT).toEqual([]);
  const rested = (await printed(id)).length;
  expect((await host.start(id, { watchMs: 0 })).startPath).toBe("resume");
  await expect.poll(async () => (await printed(id)).length, WAIT).toBeGreaterThan(rested + 2);

  const all = await printed(id);
  const second = all.slice(first);
  // The second run begins with what the program was about to print, or just had, at the save.
  expect(second[0]).toBeLessThanOrEqual(atSave + 1);
  expect(second).toEqual(second.map((_, index) => (second[0] ?? 0) + index));
  await host.destroy(id, { force: true });
  await expect.poll(() => bench.vmm.saved?.(), WAIT).toEqual([]);
  expect(host.host.ledger.sums().allocated.diskMb).toBe(0);
});
