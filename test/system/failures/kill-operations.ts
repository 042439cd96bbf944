import { expect } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { changeCalls } from "../../support/change-calls.ts";
import { configOf, type Machine } from "../../support/clients.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";
import type { World } from "../world/world.ts";

/** A call that services die in. */
export interface Operation {
  prepare(): Promise<{
    /** Makes the call; may fail. */
    act(): Promise<unknown>;
    /** Makes the call again until it has had its effect, and checks that. */
    finish(): Promise<void>;
  }>;
}

/** An api that died keeps its creates for ten seconds, and may die again when it has just taken them up. */
const RECOVERY = { timeout: 60_000, interval: 50 };
/** What users are told while something is away. */
const PASSING = /^(UNAVAILABLE|RESOURCE_EXHAUSTED|ABORTED|DEADLINE_EXCEEDED)$/;

/** What services die in. */
export const CREATES = ["create", "undone create"] as const;
export const CHANGES = ["destroy", "stop", "start", "new version"] as const;
export type OperationName = (typeof CREATES | typeof CHANGES)[number];

/** What users do with machines, each with its own machines so that several may be finished at the same time. */
export function operations({ clients, app, fleet, image }: World) {
  const changes = changeCalls(clients.raw);
  let count = 0;
  const create = (requestId: string, of: string, skipLaunch = false) =>
    clients.create(
      { app, requestId, skipLaunch, config: configOf(of, { init: { cmd: ["sim-run"] } }) },
      60_000,
    );
  const newId = (what: string) => `${what}-${Date.now()}-${count++}`;
  const created = (skipLaunch: boolean) => {
    const id = newId("machine");
    return until(() => create(id, image, skipLaunch));
  };
  const remove = async (id: string) => {
    await until(() => clients.destroy(id, true).catch(ignoreNotFound));
    // Meanwhile somebody else may have died who is needed to be told.
    const told = () =>
      clients.start(id).then(
        () => "started",
        (err: { code?: string }) => err.code ?? String(err),
      );
    await expect.poll(told, RECOVERY).toMatch(/NOT_FOUND|FAILED_PRECONDITION/);
  };

  return {
    create: {
      async prepare() {
        const id = newId("create");
        const own = await newImage(id, (content) => [[{ path: "sample", content }]]);
        return {
          act: () => create(id, own),
          async finish() {
            const machine = await until(() => create(id, own));
            expect((await until(() => clients.get(machine.id))).state).not.toBe(MachineState.CREATING);
            expect((await until(() => clients.start(machine.id))).machine?.state).toBe(MachineState.STARTED);
            await remove(machine.id);
          },
        };
      },
    },
    "undone create": {
      async prepare() {
        const id = newId("undone");
        const own = await newImage(id, (content) => [Buffer.from(content.padEnd(2_048, "no archive "))]);
        const fails = () =>
          create(id, own).then(
            () => "created",
            (err: { reason?: string }) => err.reason ?? String(err),
          );
        return {
          act: () => create(id, own),
          async finish() {
            await expect.poll(fails, RECOVERY).toMatch(/^IMAGE_|^LAYER_/);
          },
        };
      },
    },
    start: {
      async prepare() {
        const { id } = await created(true);
        return {
          act: () => clients.start(id),
          async finish() {
            expect((await until(() => clients.start(id))).machine?.state).toBe(MachineState.STARTED);
            await remove(id);
          },
        };
      },
    },
    stop: {
      async prepare() {
        const { id } = await started();
        return {
          act: () => clients.stop(id),
          async finish() {
            expect((await until(() => clients.stop(id))).machine?.state).toBe(MachineState.STOPPED);
            await remove(id);
          },
        };
      },
    },
    "new version": {
      async prepare() {
        const { id } = await started();
        // Of the same image: a create dies in pulls.
        const config = configOf(image, { init: { cmd: ["sim-run"] }, env: { VERSION: "2" } });
        return {
          act: () => changes.update(id, config),
          async finish() {
            const { machine } = await until(() => changes.update(id, config));
            expect(machine?.state).toBe(MachineState.STARTED);
            expect((await until(() => clients.get(id))).config?.env.get("VERSION")).toBe("2");
            await remove(id);
          },
        };
      },
    },
    destroy: {
      async prepare() {
        const { id } = await started();
        return { act: () => clients.destroy(id, true), finish: () => remove(id) };
      },
    },
  } as const satisfies Record<OperationName, Operation>;

  async function started(): Promise<Machine> {
    const machine = await created(true);
    await until(() => clients.start(machine.id));
    return machine;
  }

  /** One that no cache has yet. */
  async function newImage(
    id: string,
    layers: (content: string) => Parameters<typeof buildImage>[0]["layers"],
  ): Promise<string> {
    const content = buildImage({ layers: layers(id), config: { Cmd: ["sim-run"] } });
    await pushImage(`http://${fleet.registry}`, `system/${id}`, "1", content);
    return `${fleet.registry}/system/${id}:1`;
  }
}

/** Calls until it succeeds, as users do when something was away; anything else is thrown. */
async function until<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + RECOVERY.timeout;
  for (;;) {
    try {
      return await work();
    } catch (err) {
      const code = err instanceof Error && "code" in err ? String(err.code) : "";
      if (!PASSING.test(code) || performance.now() > deadline) throw err;
      await new Promise((resolve) => setTimeout(resolve, RECOVERY.interval));
    }
  }
}

function ignoreNotFound(err: unknown): void {
  if (!(err instanceof Error && "code" in err && err.code === "NOT_FOUND")) throw err;
}
