import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../../../src/hostd/machines/machine.ts";
import { Store } from "../../../src/hostd/store/store.ts";
import { SealingKeys } from "../../../src/lib/sealing/sealing-keys.ts";
import { machineIn } from "../../support/hostd/machine-builder.ts";
import { SEALING_KEYS } from "../../support/hostd/sealing-keys.ts";

let dir: string;
let open: Store[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-store-"));
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()));
  rmSync(dir, { recursive: true, force: true });
});

async function openStore(keys = SEALING_KEYS): Promise<Store> {
  const onDeath = (err: Error): void => {
    throw err;
  };
  const store = await Store.open({ path: join(dir, "state.db"), keys, onDeath });
  open.push(store);
  return store;
}

describe("what users have configured", () => {
  const CANARY = "canary-7c1f";
  const NEW = machineIn("creating");
  const { spec } = NEW;
  const config = { ...spec.config, env: { DB_PASSWORD: CANARY }, metadata: { note: CANARY } };
  const secretive: Change = { machine: { ...NEW, spec: { ...spec, config } } };
  const files = () => readdirSync(dir).map((name) => join(dir, name));
  const haveCanary = () => files().filter((file) => readFileSync(file).includes(CANARY));

  /** Makes the files what an earlier version left. */
  function makePlain(): void {
    const db = new DatabaseSync(join(dir, "state.db"));
    const text = JSON.stringify(secretive.machine.spec);
    db.exec("pragma journal_mode = wal; pragma user_version = 1");
    db.prepare("update machines set spec = ?").run(text);
    db.close();
    chmodSync(join(dir, "state.db"), 0o644);
  }

  test("is encrypted in the files, which only their owner may read", async () => {
    const store = await openStore();
    await store.intend(secretive);
    const whileOpen = haveCanary();
    await store.close();

    const after = await openStore();

    expect([...whileOpen, ...haveCanary()]).toEqual([]);
    expect(files().map((file) => statSync(file).mode & 0o777)).toEqual(files().map(() => 0o600));
    expect(after.get(secretive.machine.id)).toEqual(secretive.machine);
  });

  test("is sealed when an earlier version has stored it in clear, and nothing is left of that", async () => {
    const first = await openStore();
    await first.intend(secretive);
    await first.close();
    makePlain();
    expect(haveCanary()).not.toEqual([]);

    const upgraded = await openStore();
    const whileOpen = haveCanary();
    await upgraded.close();

    expect([...whileOpen, ...haveCanary()]).toEqual([]);
    expect((await openStore()).get(secretive.machine.id)).toEqual(secretive.machine);
    expect(files().map((file) => statSync(file).mode & 0o777)).toEqual(files().map(() => 0o600));
  });

  test("is sealed again with a newer key, so that the older one may go", async () => {
    const [older, newer] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const first = await openStore(new SealingKeys([older]));
    await first.intend(secretive);
    await first.close();

    const rotated = await openStore(new SealingKeys([older, newer]));
    await rotated.close();

    const after = await openStore(new SealingKeys([newer]));
    expect(after.get(secretive.machine.id)).toEqual(secretive.machine);
  });

  test("is not opened with other keys, and stays as it is", async () => {
    const store = await openStore();
    await store.intend(secretive);
    await store.close();

    const keys = new SealingKeys([Buffer.alloc(32, 8)]);

    await expect(openStore(keys)).rejects.toMatchObject({ reason: "SEALED_VALUE_UNREADABLE" });
    expect((await openStore()).get(secretive.machine.id)).toEqual(secretive.machine);
  });
});
