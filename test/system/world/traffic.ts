import { expect } from "vitest";
import type { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { configOf } from "../../support/clients.ts";
import type { World } from "./world.ts";

/** Users who create machines all the time, whatever happens. */
export interface Traffic {
  /** Resolves once so many more creates have begun. */
  more(count: number): Promise<void>;
  /**
   * Ends it, and asks for everything again with the same request id: until it succeeds, as users do, and what has succeeded must answer the
   * machine it answered before. Returns the ids, one for each create.
   */
  settle(): Promise<readonly string[]>;
}

const PARALLEL = 2;
const MOST = 60;
const RECOVERY = { timeout: 60_000, interval: 100 };

/** Begins to create machines, each with a request id, a few at a time. */
export function startTraffic({ clients, app, image }: World, name: string): Traffic {
  const ids = new Map<string, string | undefined>();
  let isOver = false;
  const create = async (requestId: string) => {
    const config = configOf(image, { init: { cmd: ["sim-run"] } });
    const { id } = await clients.create({ app, requestId, config }, 15_000);
    const before = ids.get(requestId);
    if (before === undefined) ids.set(requestId, id);
    else expect(id, `of ${requestId}, asked for again`).toBe(before);
  };
  const user = async () => {
    while (!isOver && ids.size < MOST) {
      const requestId = `${name}-${ids.size}`;
      ids.set(requestId, undefined);
      await create(requestId).catch(() => undefined);
      // Who is refused tries again in a moment, not at once.
      if (ids.get(requestId) === undefined)
        await new Promise((resolve) => setTimeout(resolve, RECOVERY.interval));
    }
  };
  const users = Array.from({ length: PARALLEL }, user);
  return {
    async more(count) {
      const enough = Math.min(MOST, ids.size + count);
      await expect.poll(() => ids.size, RECOVERY).toBeGreaterThanOrEqual(enough);
    },
    async settle() {
      isOver = true;
      await Promise.all(users);
      const open = () => [...ids].filter(([, id]) => id === undefined).map(([requestId]) => requestId);
      await expect
        .poll(async () => {
          await Promise.all(open().map((requestId) => create(requestId).catch(() => undefined)));
          return open();
        }, RECOVERY)
        .toEqual([]);
      for (const requestId of ids.keys()) await create(requestId);
      return [...ids.values()].flatMap((id) => id ?? []);
    },
  };
}

/** Destroys machines, a few at a time, so that the next who come have room. */
export async function removeAll({ clients }: World, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((id) => clients.destroy(id, true)));
}

/** Starts and stops a machine, and says how long the slower of the two took, in milliseconds. */
export async function cycle(
  { clients }: World,
  id: string,
): Promise<{ ms: number; states: readonly (MachineState | undefined)[] }> {
  const began = performance.now();
  const started = await clients.start(id);
  const between = performance.now();
  const stopped = await clients.stop(id);
  const ms = Math.max(between - began, performance.now() - between);
  return { ms, states: [started.machine?.state, stopped.machine?.state] };
}
