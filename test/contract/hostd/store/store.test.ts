import { readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Machine } from "../../../../src/hostd/machines/machine.ts";
import { machineIn } from "../../../support/hostd/machine-builder.ts";
import { EVENT, NEW, next, StoreFolder } from "./store-fixture.ts";

let folder: StoreFolder;
beforeEach(() => {
  folder = new StoreFolder();
});
afterEach(() => folder.close());

const OTHER = "00007ffffffff0" as Machine["id"];

describe("what has been stored", () => {
  test("is there after a restart, with the host's identity and a higher incarnation", async () => {
    const before = await folder.open();
    await before.intend(NEW);
    await before.intend(next(NEW.machine, { state: "created", ports: [20_001] }));
    await before.close();

    const after = await folder.open();

    expect(after.get(NEW.machine.id)).toEqual({
      ...NEW.machine,
      generation: 2,
      state: "created",
      ports: [20_001],
    });
    expect(after.identity).toBe(before.identity);
    expect(after.incarnation).toBe(before.incarnation + 1);
    expect(after.sequence).toBe(2);
  });

  test("includes a spec that changed", async () => {
    const store = await folder.open();
    await store.intend(NEW);
    const image = {
      rootfs: "/x",
      config: { entrypoint: [], cmd: [], env: [], user: "", workingDir: "", stopSignal: "" },
    };
    await store.intend(next(NEW.machine, { spec: { ...NEW.machine.spec, image } }));
    await store.close();

    expect((await folder.open()).get(NEW.machine.id)?.spec.image).toEqual(image);
  });
});

describe("an intent and a note", () => {
  test("an intent is visible once it is durable, not before", async () => {
    const store = await folder.open();

    const stored = store.intend(NEW);

    expect(store.get(NEW.machine.id)).toBeUndefined();
    await stored;
    expect(store.get(NEW.machine.id)).toEqual(NEW.machine);
  });

  test("a note is visible at once", async () => {
    const store = await folder.open();

    const stored = store.note(NEW);

    expect(store.get(NEW.machine.id)).toEqual(NEW.machine);
    await stored;
  });

  test("a note waits to be written with others, unless somebody waits for it", async () => {
    const store = await folder.open();
    await store.intend(NEW);
    let isDurable = false;
    const noted = store.note(next(NEW.machine, { state: "created" })).then(() => {
      isDurable = true;
    });

    const { machine } = next({ ...NEW.machine, generation: 2 }, { state: "starting" });
    await store.intend({ machine });
    expect(isDurable).toBe(true);
    await noted;

    const flushed = store.note(next(machine, { state: "started" }));
    store.flush();
    await store.outbox(0, 1);
    expect(store.sequence).toBe(4);
    await flushed;
  });

  test("a note that is due during another write is written in time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const store = await folder.open();
      const written = store.intend(NEW);
      const during = store.note({ machine: machineIn("creating", { id: OTHER }) });
      vi.advanceTimersByTime(1_000);
      await Promise.all([written, during]);

      const after = store.note(next(NEW.machine));
      vi.advanceTimersByTime(1_000);
      await after;
      expect(store.sequence).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a change that does not follow the machine's generation is refused", async () => {
    const store = await folder.open();
    await store.intend(NEW);

    await expect(store.intend(NEW)).rejects.toThrow("generation 1 does not follow");
  });

  test("subscribers get every change until they unsubscribe", async () => {
    const store = await folder.open();
    const states: string[] = [];
    const leave = store.subscribe(NEW.machine.id, ({ state }) => states.push(state));

    await store.intend(NEW);
    await store.intend(next(NEW.machine, { state: "created" }));
    leave();
    await store.intend(next({ ...NEW.machine, generation: 2 }, { state: "starting" }));

    expect(states).toEqual(["creating", "created"]);
  });
});

describe("a full disk", () => {
  const BIG = "x".repeat(40_000);

  test("refuses an intent with DISK_FULL, and nothing has changed", async () => {
    const store = await folder.open({ maxPages: 24 });
    await store.intend(NEW);

    const big = next(NEW.machine, { lastStartPath: BIG, state: "created" });
    await expect(Promise.all([store.intend(big)])).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "DISK_FULL",
    });

    expect(store.get(NEW.machine.id)).toEqual(NEW.machine);
    expect(store.sequence).toBe(1);
    await store.close();
    const after = await folder.open();
    expect(after.get(NEW.machine.id)).toEqual(NEW.machine);
    expect(await after.outbox(0, 10)).toHaveLength(1);
  });

  test("an intent is not durable before a note of the same machine that has failed", async () => {
    const store = await folder.open({ maxPages: 30 });
    await store.intend(NEW);
    const noted = next(NEW.machine, { state: "created", lastStartPath: BIG.repeat(2) });
    void store.note(noted);
    store.flush();
    await expect.poll(() => store.trouble?.reason).toBe("DISK_FULL");

    const small = next(noted.machine, { state: "starting", lastStartPath: "" });
    await expect(store.intend(small)).rejects.toMatchObject({ reason: "DISK_FULL" });
    await store.intend({ machine: machineIn("creating", { id: OTHER }) });
  });

  test("a note waits until there is room, and is durable then", async () => {
    const store = await folder.open({ maxPages: 30 });
    await store.intend(NEW);
    const filler = {
      ...machineIn("creating", { id: OTHER, lastStartPath: BIG.slice(0, 25_000) }),
    };
    await store.intend({ machine: filler });
    let isDurable = false;
    const note = store
      .note(next(NEW.machine, { state: "created", lastStartPath: BIG.slice(0, 30_000) }))
      .then(() => {
        isDurable = true;
      });
    await expect(store.intend(next(filler, { lastStartPath: BIG }))).rejects.toMatchObject({
      reason: "DISK_FULL",
    });
    expect(isDurable).toBe(false);
    expect(store.get(NEW.machine.id)?.state).toBe("created");

    await store.acknowledge(2);
    await store.intend(next(filler, { lastStartPath: "" }));
    await note;
    await store.close();

    expect((await folder.open()).get(NEW.machine.id)?.state).toBe("created");
  });
});

describe("a database that cannot be used", () => {
  test("one in use by another hostd is refused", async () => {
    await folder.open();

    await expect(folder.open()).rejects.toThrow("another hostd runs with this HOSTD_DIR");
  });

  test("a file that is no database is refused, and left as it is", async () => {
    writeFileSync(
      folder.database,
      "not a database, but long enough to be looked at as if it were one".repeat(40),
    );

    await expect(folder.open()).rejects.toThrow(/is damaged .* Nothing was changed/);
  });

  test("a damaged database is refused rather than read", async () => {
    const store = await folder.open();
    await store.intend(NEW);
    for (let i = 0; i < 200; i += 1) await store.intend(next(store.get(NEW.machine.id) ?? NEW.machine));
    await store.close();
    const bytes = readFileSync(folder.database);
    bytes.fill(0xa5, 4_096, bytes.length);
    writeFileSync(folder.database, bytes);

    await expect(folder.open()).rejects.toThrow(/is damaged/);
  });

  test("one of a newer version is refused", async () => {
    await (await folder.open()).close();
    const db = new DatabaseSync(folder.database);
    db.exec("pragma user_version = 99");
    db.close();

    await expect(folder.open()).rejects.toThrow("written by a newer hostd");
  });
});

test("changes made at once are written together, each with its own row", async () => {
  const store = await folder.open();
  const machines = Array.from({ length: 300 }, (_, index) =>
    machineIn("creating", { id: `00007${index.toString(16).padStart(9, "0")}` as Machine["id"] }),
  );

  await Promise.all(machines.map((machine) => store.intend({ machine, event: EVENT })));

  expect(store.sequence).toBe(300);
  expect([...store.all()]).toHaveLength(300);
});
