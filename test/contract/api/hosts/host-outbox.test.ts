import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { destroyed, destroying, newMachine, prepared } from "../../../../src/hostd/machines/change.ts";
import { type Machine, machineId } from "../../../../src/hostd/machines/machine.ts";
import type { MachineConfig } from "../../../../src/hostd/machines/machine-config.ts";
import { Outbox } from "../../../../src/hostd/reports/outbox.ts";
import { OutboxProgress } from "../../../../src/hostd/reports/outbox-progress.ts";
import { ReportsClient } from "../../../../src/hostd/reports/reports-client.ts";
import { Store } from "../../../../src/hostd/store/store.ts";
import { internalTokens } from "../../../../src/lib/auth/tokens.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import { machineIn } from "../../../support/hostd/machine-builder.ts";
import { SEALING_KEYS } from "../../../support/hostd/sealing-keys.ts";
import { KEYS } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const HOST = 9;
let world: World;
let api: TestApi;
let dir: string;
let store: Store;
let stop: () => Promise<void> = async () => {};

beforeAll(async () => {
  world = await World.open(0);
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.sql("delete from machines");
  await world.sql("delete from hosts");
  dir = mkdtempSync(join(tmpdir(), "wh-outbox-"));
  store = await openStore();
});
afterEach(async () => {
  await stop();
  stop = async () => {};
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function openStore(): Promise<Store> {
  const onDeath = (err: Error) => {
    throw err;
  };
  return Store.open({ path: join(dir, "state.db"), keys: SEALING_KEYS, onDeath });
}

/** Makes the state what the first version of its schema has. */
function leaveAsEarlier(ids: readonly string[], specs: readonly string[]): void {
  const db = new DatabaseSync(join(dir, "state.db"));
  const update = db.prepare("update machines set spec = ? where id = ?");
  for (const [i, id] of ids.entries()) update.run(specs[i] ?? "", id);
  db.exec("pragma user_version = 1");
  db.close();
}

/** A configuration of about so many bytes in its environment, as hosts had before there was a limit. */
function configOf(bytes: number): MachineConfig {
  return { ...machineIn("creating").spec.config, env: { BIG: "x".repeat(bytes) } };
}

/** Makes machines whose rows the database has, as creates under way do. */
async function create(count: number, config: MachineConfig): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, i) =>
    machineId(HOST.toString(16).padStart(5, "0") + (i + 1).toString(16).padStart(9, "0")),
  );
  await world.sql(
    `insert into machines (create_id, id, org, app, name, region, memory_mb, host_number, state)
     select gen_random_uuid(), id, 'personal', 'web', id, 'ord', 256, $2, 'creating' from unnest($1::text[]) as id`,
    [ids, HOST],
  );
  for (const id of ids) {
    const spec = { ...machineIn("creating").spec, name: id, config };
    const at = { nowMs: Date.now(), eventId: `${id}1` };
    await store.intend(newMachine(id, spec, { ports: [], launchUntilMs: undefined, lease: undefined }, at));
    const image = {
      rootfs: "/x",
      config: { entrypoint: [], cmd: [], env: [], user: "", workingDir: "", stopSignal: "" },
      sizeBytes: 4_096,
    };
    await store.intend(prepared(machineOf(id), image, at));
  }
  return ids;
}

function machineOf(id: string): Machine {
  const machine = store.get(id);
  if (!machine) throw new Error(`there is no machine ${id}`);
  return machine;
}

async function destroyAll(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const at = { nowMs: Date.now(), eventId: `${id}2` };
    await store.intend(destroying(machineOf(id), { source: "user", message: "" }, at));
    await store.note(destroyed(machineOf(id), at));
  }
}

function deliver(): void {
  const identity = {
    ...{
      number: HOST,
      name: "host-9",
      identity: store.identity,
      region: "ord",
      zone: "a",
      address: "127.0.0.1:1",
    },
    ...{ capacity: { cpus: 1, memoryMb: 1, diskMb: 1 }, labels: {} },
    vmm: { name: "sim", acceleration: "none", version: "1", isolation: "development", reason: "" } as const,
  };
  const client = new ReportsClient(api.address, internalTokens(KEYS.privateKey, "hostd"), identity);
  const abort = new AbortController();
  const progress = new OutboxProgress(store, systemClock);
  const outbox = new Outbox({
    source: store,
    apis: [client],
    signal: abort.signal,
    progress,
    longestPauseMs: 50,
  });
  const done = outbox.run();
  stop = async () => {
    abort.abort();
    await done;
    client.close();
  };
}

const states = async () =>
  (await world.sql<{ state: string }>("select distinct state from machines order by state")).map(
    ({ state }) => state,
  );

const snapshot = async () =>
  (await world.sql("select snapshot from machines where snapshot is not null"))[0]?.["snapshot"];

describe("the outbox of a host", () => {
  test("delivers the end of 45 machines with 270 KB of configuration each", async () => {
    const ids = await create(45, configOf(270_000));
    await destroyAll(ids);

    deliver();

    await expect.poll(() => store.acknowledged).toBe(store.sequence);
    expect(await states()).toEqual(["destroyed"]);
  });

  test("drains when an earlier version has left it full, with configurations in clear", async () => {
    const ids = await create(45, configOf(270_000));
    await destroyAll(ids);
    const { sequence } = store;
    const specs = ids.map((id) => JSON.stringify(machineOf(id).spec));
    await store.close();
    leaveAsEarlier(ids, specs);

    store = await openStore();
    deliver();

    await expect.poll(() => store.acknowledged).toBe(sequence);
    expect(await states()).toEqual(["destroyed"]);
  });

  test("brings a status into the machine that the database has", async () => {
    const [id = ""] = await create(1, configOf(10));
    deliver();
    await expect.poll(() => store.acknowledged).toBe(store.sequence);

    await destroyAll([id]);

    await expect.poll(() => store.acknowledged).toBe(store.sequence);
    expect(await snapshot()).toMatchObject({
      ...{ id, state: "destroyed", generation: "4", imageBytes: 4_096 },
      config: { env: { BIG: "x".repeat(10) } },
    });
  });

  test("sends machines whole to a database that has lost what they are", async () => {
    const ids = await create(3, configOf(10));
    deliver();
    await expect.poll(() => store.acknowledged).toBe(store.sequence);
    await world.sql("update machines set snapshot = null, generation = 0");

    await destroyAll(ids.slice(0, 1));

    await expect.poll(() => store.acknowledged).toBe(store.sequence);
    expect(await snapshot()).toMatchObject({ id: ids[0], state: "destroyed", config: { image: "nginx" } });
  });
});
