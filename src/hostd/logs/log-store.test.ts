import { mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type LogQuery, LogStore } from "./log-store.ts";

let dir: string;
const ID = "00007a1b2c3d4e";
const OWNER = { id: ID, org: "acme" };
const NEVER = new AbortController().signal;

let stores: LogStore[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-logs-"));
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  rmSync(dir, { recursive: true, force: true });
});

function logStore(folder: string, machineKb: number): LogStore {
  const onDeath = (err: Error): void => {
    throw err;
  };
  const limits = { machineKb, orgKb: 1_048_576 };
  const store = new LogStore({ dir: folder, limits, owners: [], onDeath });
  stores.push(store);
  return store;
}

async function write(store: LogStore, texts: readonly string[]): Promise<void> {
  for (const text of texts) await store.sink(OWNER).onLog({ timeUs: 1, stream: "stdout", text });
}

async function read(store: LogStore, query: Partial<LogQuery> = {}): Promise<string[]> {
  const lines: string[] = [];
  const all = { tail: undefined, afterSequence: 0, follow: false, signal: NEVER, ...query };
  for await (const batch of store.read(ID, all))
    for (const { sequence, text } of batch) lines.push(`${sequence} ${text}`);
  return lines;
}

function numbered(from: number, to: number, width = 1): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`.padEnd(width, "."));
}

test("a log that is to be removed waits for those who follow it, and for no others", async () => {
  const store = logStore(dir, 64);
  await write(store, numbered(1, 3));
  const query = { tail: undefined, afterSequence: 0, follow: true, signal: NEVER };
  const follower = store.read(ID, query)[Symbol.asyncIterator]();

  await store.untilRead(ID, 60_000);
  const first = await follower.next();
  let isRead = false;
  const waiting = store.untilRead(ID, 60_000).then(() => (isRead = true));
  await store.flush();
  const wasRead = isRead;
  // Asks for more, so it has taken what there was.
  const second = follower.next();
  await waiting;
  await store.remove(ID);

  expect(first.value).toHaveLength(3);
  expect(wasRead).toBe(false);
  expect((await second).done).toBe(true);
  await store.untilRead(ID, 60_000);
});

test("a log does not wait for a follower that does not read", async () => {
  const store = logStore(dir, 64);
  await write(store, numbered(1, 3));
  const query = { tail: undefined, afterSequence: 0, follow: true, signal: NEVER };
  const follower = store.read(ID, query)[Symbol.asyncIterator]();
  await follower.next();

  await expect(store.untilRead(ID, 1)).resolves.toBeUndefined();

  await follower.return(undefined);
  await expect(store.untilRead(ID, 60_000)).resolves.toBeUndefined();
});

describe("reading", () => {
  test("returns lines in order, after a sequence, and the last ones", async () => {
    const store = logStore(dir, 64);
    await write(store, numbered(1, 5));

    expect(await read(store)).toEqual(["1 line 1", "2 line 2", "3 line 3", "4 line 4", "5 line 5"]);
    expect(await read(store, { afterSequence: 3 })).toEqual(["4 line 4", "5 line 5"]);
    expect(await read(store, { tail: 2 })).toEqual(["4 line 4", "5 line 5"]);
    expect(await read(store, { tail: 0 })).toEqual([]);
    expect(await read(store, { tail: 9, afterSequence: 4 })).toEqual(["5 line 5"]);
  });

  test("sequences go on after a restart", async () => {
    const before = logStore(dir, 64);
    await write(before, numbered(1, 3));
    await before.flush();

    const after = logStore(dir, 64);
    await write(after, ["line 4"]);

    expect(await read(after)).toEqual(["1 line 1", "2 line 2", "3 line 3", "4 line 4"]);
  });

  test("a line cut off by a crash is skipped", async () => {
    const before = logStore(dir, 64);
    await write(before, numbered(1, 2));
    await before.flush();
    await appendFile(join(dir, ID, "newer.jsonl"), '[3,1,"stdout","cut o');

    expect(await read(logStore(dir, 64))).toEqual(["1 line 1", "2 line 2"]);
  });
});

describe("the bound", () => {
  test("the files never exceed it, and the newest lines are kept", async () => {
    const store = logStore(dir, 16);
    await write(store, numbered(1, 2_000, 100));
    await store.flush();

    const size = readdirSync(join(dir, ID)).reduce(
      (sum, name) => sum + statSync(join(dir, ID, name)).size,
      0,
    );
    expect(size).toBeLessThanOrEqual(16 * 1_024);
    const kept = await read(logStore(dir, 16));
    expect(kept.at(-1)).toMatch(/^2000 line 2000/);
    expect(kept.length).toBeLessThan(200);
  });

  test("a reader that comes back too late gets the number of missing lines", async () => {
    const store = logStore(dir, 16);
    await write(store, numbered(1, 2_000, 100));
    await store.flush();

    const lines = await read(logStore(dir, 16), { afterSequence: 10 });

    const first = Number(lines[1]?.split(" ")[0]);
    expect(lines[0]).toBe(`${first - 1} ${first - 11} lines are no longer kept`);
  });
});

describe("following", () => {
  test("goes on as lines come, and ends with its signal", async () => {
    const store = logStore(dir, 64);
    await write(store, ["line 1"]);
    const abort = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      const query = { tail: undefined, afterSequence: 0, follow: true, signal: abort.signal };
      for await (const batch of store.read(ID, query)) seen.push(...batch.map(({ text }) => text));
    })();
    await expect.poll(() => seen).toEqual(["line 1"]);

    await write(store, numbered(2, 40));
    await expect.poll(() => seen).toEqual(numbered(1, 40));
    abort.abort(new Error("gone"));

    await expect(following).rejects.toThrow("gone");
  });

  test("with no tail begins with the next line", async () => {
    const store = logStore(dir, 64);
    await write(store, numbered(1, 3));
    const seen: string[] = [];
    const following = (async () => {
      const query = { tail: 0, afterSequence: 0, follow: true, signal: NEVER };
      for await (const batch of store.read(ID, query)) seen.push(...batch.map(({ text }) => text));
    })();
    await store.flush();

    await write(store, ["line 4"]);

    await expect.poll(() => seen).toEqual(["line 4"]);
    await store.remove(ID);
    await following;
  });

  test("a slow reader misses no line that is still kept", async () => {
    const store = logStore(dir, 4_096);
    const query = { tail: undefined, afterSequence: 0, follow: true, signal: NEVER };
    const reader = store.read(ID, query)[Symbol.asyncIterator]();
    await write(store, numbered(1, 5_000, 100));

    const seen: number[] = [];
    while (seen.at(-1) !== 5_000) {
      const { value } = await reader.next();
      seen.push(...(value ?? []).map(({ sequence }: { sequence: number }) => sequence));
    }

    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1));
  });

  test("goes on behind lines that could not be written, and says how many", async () => {
    const store = logStore(dir, 64);
    await write(store, ["line 1"]);
    const seen: string[] = [];
    const following = (async () => {
      const query = { tail: undefined, afterSequence: 0, follow: true, signal: NEVER };
      for await (const batch of store.read(ID, query)) seen.push(...batch.map(({ text }) => text));
    })();
    await expect.poll(() => seen).toEqual(["line 1"]);

    const file = join(dir, ID, "newer.jsonl");
    renameSync(file, `${file}.away`);
    symlinkSync("/dev/full", file);
    await write(store, ["line 2", "line 3"]);
    unlinkSync(file);
    renameSync(`${file}.away`, file);
    await write(store, ["line 4"]);

    await expect.poll(() => seen).toEqual(["line 1", "2 lines are no longer kept", "line 4"]);
    await store.remove(ID);
    await following;
  });

  test("ends when the machine is removed, and its log is deleted", async () => {
    const store = logStore(dir, 64);
    await write(store, ["line 1"]);
    const query = { tail: undefined, afterSequence: 0, follow: true, signal: NEVER };
    const reader = store.read(ID, query)[Symbol.asyncIterator]();
    await reader.next();

    const end = reader.next();
    await store.remove(ID);

    expect((await end).done).toBe(true);
    expect(await store.owners()).toEqual([]);
  });
});
