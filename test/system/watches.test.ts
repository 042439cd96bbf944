import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { type MachineChange, WatchMachinesRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../src/lib/faults/fault.ts";
import { call, openStream } from "../../src/lib/grpc/client.ts";
import { sleep } from "../../src/lib/runtime/wait.ts";
import { changeCalls } from "../support/change-calls.ts";
import { configOf } from "../support/clients.ts";
import { openWorld, type World } from "./world/world.ts";

const LIMIT = { timeoutMs: 60_000 };
const SOON = { timeout: 60_000, interval: 100 };
const RUNS = { init: { cmd: ["sim-run"] } };

describe("with real hosts", () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld(1);
  });
  afterEach(() => world.fleet.awaitHosts());
  afterAll(() => world?.close());

  it("a watch tells every event once, while apis, hosts and the database are killed", async () => {
    const { clients, fleet } = world;
    const config = configOf(world.image, RUNS);
    const { id } = await again(() => clients.create({ app: world.app, config }));
    await expect.poll(async () => (await stored(id)).length, SOON).toBeGreaterThan(1);
    const before = new Set((await events(id)).map((event) => event.id));
    const told: string[] = [];
    const end = new AbortController();
    let position = "";
    const watching = follow(world, end.signal, (changes, at) => {
      // Machines of other tests are told of as well.
      const own = changes.filter(({ machine }) => machine?.id === id);
      told.push(...own.flatMap(({ event }) => event?.id ?? []));
      position = at;
    });
    await expect.poll(() => position, SOON).not.toBe("");

    for (const part of ["api", "hostd-1", "postgres"] as const) {
      await again(() => clients.stop(id));
      await fleet.crash(part);
      await again(() => clients.start(id));
    }
    await again(() => clients.stop(id));

    const happened = async () =>
      (await events(id)).map((event) => event.id).filter((each) => !before.has(each));
    // Both may lack the last ones for a moment.
    await vi.waitFor(async () => {
      expect([...told].sort().reverse()).toEqual(await happened());
      expect(told.length).toBeGreaterThanOrEqual(7);
    }, SOON);
    end.abort();
    await watching;
  });

  it("an update is a new version, which is listed, waited for and told", async () => {
    const { clients } = world;
    const { machines } = clients.raw;
    const config = configOf(world.image, RUNS);
    const first = await again(() => clients.create({ app: world.app, config }));
    const next = configOf(world.image, { ...RUNS, env: { VERSION: "2" } });

    const { machine } = await changeCalls(clients.raw).update(first.id, next);

    const request = { machineId: first.id, pageSize: 0, pageToken: "" };
    const { versions } = await call(machines, machines.listMachineVersions, request, LIMIT);
    expect(versions.map(({ instanceId }) => instanceId)).toEqual([machine?.instanceId, first.instanceId]);
    expect(versions[0]?.config?.env.get("VERSION")).toBe("2");
    const wait = {
      ...{
        machineId: first.id,
        afterEventId: "",
        settled: true,
        acrossCalls: false,
        ready: false,
        timeout: undefined,
      },
      states: [] as MachineState[],
    };
    const waited = await call(
      machines,
      machines.waitMachine,
      { ...wait, instanceId: machine?.instanceId ?? "" },
      LIMIT,
    );
    expect(waited.machine?.state).toBe(MachineState.STARTED);
    const old = call(machines, machines.waitMachine, { ...wait, instanceId: first.instanceId }, LIMIT);
    await expect(old).rejects.toMatchObject({ reason: "REPLACED" });
  });

  /** Repeats a call until its services are there. */
  async function again<T>(act: () => Promise<T>): Promise<T> {
    const answers: T[] = [];
    const attempt = async () => {
      try {
        answers.push(await act());
        return undefined;
      } catch (err) {
        if (err instanceof Fault && err.code === "UNAVAILABLE") return err.reason;
        throw err;
      }
    };
    await expect.poll(attempt, SOON).toBeUndefined();
    const [answer] = answers;
    if (answer === undefined) throw new Error("the call has no answer");
    return answer;
  }

  async function events(machineId: string) {
    const { machines } = world.clients.raw;
    const request = { machineId, pageSize: 0, pageToken: "" };
    return (await call(machines, machines.listMachineEvents, request, LIMIT)).events;
  }

  function stored(machineId: string) {
    return world.sql("select id from machine_events where machine_id = $1", [machineId]);
  }
});

/** Watches the organisation, and resumes after the last position when the stream breaks. */
async function follow(
  world: World,
  signal: AbortSignal,
  tell: (changes: readonly MachineChange[], position: string) => void,
): Promise<void> {
  const { machines } = world.clients.raw;
  let afterPosition = "";
  while (!signal.aborted) {
    try {
      const request = { ...WatchMachinesRequest.create(), afterPosition };
      const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal };
      for await (const message of openStream(machines, machines.watchMachines, request, scope)) {
        if (message.position !== "") afterPosition = message.position;
        tell(message.changes, afterPosition);
      }
    } catch (err) {
      if (signal.aborted) return;
      if (!(err instanceof Fault) || err.code !== "UNAVAILABLE") throw err;
      await sleep(100, signal);
    }
  }
}
