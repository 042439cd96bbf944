import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../../../../src/hostd/machines/machine.ts";
import { SealingKeys } from "../../../../src/lib/sealing/sealing-keys.ts";
import { machineIn } from "../../../support/hostd/machine-builder.ts";
import { StoreFolder } from "./store-fixture.ts";

let folder: StoreFolder;
beforeEach(() => {
  folder = new StoreFolder();
});
afterEach(() => folder.close());

describe("what users have configured", () => {
  const CANARY = "canary-7c1f";
  const NEW = machineIn("creating");
  const { spec } = NEW;
  const config = { ...spec.config, env: { DB_PASSWORD: CANARY }, metadata: { note: CANARY } };
  const secretive: Change = { machine: { ...NEW, spec: { ...spec, config } } };
  const files = () => readdirSync(folder.path).map((name) => join(folder.path, name));
  const haveCanary = () => files().filter((file) => readFileSync(file).includes(CANARY));

  /** Makes the files what an earlier version left. */
  function makePlain(): void {
    const db = new DatabaseSync(folder.database);
    const text = JSON.stringify(secretive.machine.spec);
    db.exec("pragma journal_mode = wal; pragma user_version = 1");
    db.prepare("update machines set spec = ?").run(text);
    db.close();
    chmodSync(folder.database, 0o644);
  }

  test("is encrypted in the files, which only their owner may read", async () => {
    const store = await folder.open();
    await store.intend(secretive);
    const whileOpen = haveCanary();
    await store.close();

    const after = await folder.open();

    expect([...whileOpen, ...haveCanary()]).toEqual([]);
    expect(files().map((file) => statSync(file).mode & 0o777)).toEqual(files().map(() => 0o600));
    expect(after.get(secretive.machine.id)).toEqual(secretive.machine);
  });

  test("is sealed when an earlier version has stored it in clear, and nothing is left of that", async () => {
    const first = await folder.open();
    await first.intend(secretive);
    await first.close();
    makePlain();
    expect(haveCanary()).not.toEqual([]);

    const upgraded = await folder.open();
    const whileOpen = haveCanary();
    await upgraded.close();

    expect([...whileOpen, ...haveCanary()]).toEqual([]);
    expect((await folder.open()).get(secretive.machine.id)).toEqual(secretive.machine);
    expect(files().map((file) => statSync(file).mode & 0o777)).toEqual(files().map(() => 0o600));
  });

  test("is sealed again with a newer key, so that the older one may go", async () => {
    const [older, newer] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const first = await folder.open({ keys: new SealingKeys([older]) });
    await first.intend(secretive);
    await first.close();

    const rotated = await folder.open({ keys: new SealingKeys([older, newer]) });
    await rotated.close();

    const after = await folder.open({ keys: new SealingKeys([newer]) });
    expect(after.get(secretive.machine.id)).toEqual(secretive.machine);
    expect((await after.outbox(0, 10)).map(({ machine }) => machine.spec)).toEqual([secretive.machine.spec]);
  });

  test("has a version, also when it was stored before there were versions, and always the same", async () => {
    const first = await folder.open();
    await first.intend(secretive);
    await first.close();
    const db = new DatabaseSync(folder.database);
    const row = db.prepare("select spec, status from machines").get();
    const without = (text: unknown) => {
      const { instanceId: _, ...rest } = JSON.parse(String(text));
      return JSON.stringify(rest);
    };
    db.prepare("update machines set spec = ?, status = ?").run(
      without(row?.["spec"]),
      without(row?.["status"]),
    );
    db.exec("alter table outbox drop column spec; pragma user_version = 2");
    db.close();

    const one = await folder.open();
    const read = one.get(secretive.machine.id)?.spec;
    expect(await one.outbox(0, 10)).toMatchObject([{ isWhole: false, machine: { generation: 1 } }]);
    await one.close();

    expect(read?.instanceId).toMatch(/^0000000000[0-9A-HJKMNP-TV-Z]{16}$/);
    expect((await folder.open()).get(secretive.machine.id)?.spec).toEqual(read);
  });

  test("keeps both versions of an update, sealed", async () => {
    const store = await folder.open();
    const { previous: _, ...version } = secretive.machine.spec;
    const updating = { ...spec, previous: version, instanceId: "01HF7YAT00ABCDEFGHJKMNPQRT" };
    await store.intend({ machine: { ...NEW, spec: updating } });
    await store.close();

    const after = await folder.open();

    expect(haveCanary()).toEqual([]);
    expect(after.get(NEW.id)?.spec).toEqual(updating);
  });

  test("is not opened with other keys, and stays as it is", async () => {
    const store = await folder.open();
    await store.intend(secretive);
    await store.close();

    const keys = new SealingKeys([Buffer.alloc(32, 8)]);

    await expect(folder.open({ keys })).rejects.toMatchObject({ reason: "SEALED_VALUE_UNREADABLE" });
    expect((await folder.open()).get(secretive.machine.id)).toEqual(secretive.machine);
  });
});
