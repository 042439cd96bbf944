import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { auditEntry as entry } from "../../../test/support/audit-entry.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { registry } from "../otel/metrics.ts";
import { createLogger } from "../runtime/log.ts";
import { type AuditEntry, fromLine, toLine } from "./audit-entry.ts";
import { AuditFile, auditPath } from "./audit-file.ts";
import { AuditLog } from "./audit-log.ts";
import { type AuditQuery, readAudit } from "./read-audit.ts";

createLogger("test", { write: () => {} });

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder("audit");
});
afterEach(() => folder.remove());

function open(bounds = { maxBytes: 1_000_000, maxFiles: 4 }): AuditLog {
  return new AuditLog({ folder: folder.path, bounds, syslog: undefined, otlp: undefined }, "test");
}

async function read(follow = false, signal = new AbortController().signal): Promise<AuditEntry[]> {
  const all: AuditEntry[] = [];
  for await (const entries of readAudit(folder.path, { follow }, signal)) all.push(...entries);
  return all;
}

test("an entry is one line of JSON, and read as it was written", () => {
  expect(toLine(entry)).toBe(
    '{"time":"2026-11-29T00:00:00.000Z","method":"windhover.machines.v1.MachinesService/StartMachine",' +
      '"action":"machines:start","kind":"machine","object":"0000a1b2c3d4e5","subject":"me","org":"acme",' +
      `"token":"abc","code":"OK","client":"127.0.0.1:4000","trace_id":"${"ab".repeat(16)}"}`,
  );
  expect(fromLine(toLine(entry))).toEqual(entry);
  expect(fromLine('{"time":')).toBeUndefined();
  const hostile = { ...entry, object: `a"\n{"${"x".repeat(1_000)}` };
  expect(toLine(hostile)).not.toContain("\n");
  expect(toLine(hostile).length).toBeLessThan(800);
});

test("entries are on disk soon, in order, for their owner only", async () => {
  const log = open();
  for (let i = 0; i < 2_500; i++) log.record({ ...entry, object: String(i) });
  const path = auditPath(folder.path, 0);

  await expect.poll(() => existsSync(path) && readFileSync(path, "utf8").split("\n").length).toBe(2_501);
  await log.close();

  expect((await read()).map(({ object }) => Number(object))).toEqual(
    Array.from({ length: 2_500 }, (_, i) => i),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a line that a crash has cut does not spoil the next one", async () => {
  writeFileSync(auditPath(folder.path, 0), `${toLine(entry)}\n${toLine(entry).slice(0, 30)}`);
  const log = open();
  log.record({ ...entry, object: "after" });
  await log.close();

  expect((await read()).map(({ object }) => object)).toEqual([entry.object, "after"]);
});

test.each(["moved", "removed"])("a file that somebody has %s is made anew", async (what) => {
  const file = new AuditFile(folder.path, { maxBytes: 1_000_000, maxFiles: 3 });
  const path = auditPath(folder.path, 0);
  await file.append(`${toLine({ ...entry, object: "before" })}\n`);
  if (what === "moved") renameSync(path, `${path}-1`);
  else rmSync(path);

  await file.append(`${toLine({ ...entry, object: "after" })}\n`);
  await file.close();

  expect((await read()).map(({ object }) => object)).toEqual(["after"]);
});

test.each([0, 1])(
  "a reader that finds the files in a rotation, without number %d, reads all once",
  async (missing) => {
    const ages = [0, 1, 2, 3].filter((age) => age !== missing);
    for (const age of ages)
      writeFileSync(auditPath(folder.path, age), `${toLine({ ...entry, object: String(age) })}\n`);
    // Renamed after it was opened.
    linkSync(auditPath(folder.path, 3), auditPath(folder.path, 4));

    expect((await read()).map(({ object }) => Number(object))).toEqual(ages.toReversed());
  },
);

test("files are bounded in size and number, and the newest entries stay", async () => {
  const file = new AuditFile(folder.path, { maxBytes: 1_000, maxFiles: 3 });
  for (let i = 0; i < 40; i++) await file.append(`${toLine({ ...entry, object: String(i) })}\n`);
  await file.close();

  const objects = (await read()).map(({ object }) => Number(object));
  expect(objects.at(-1)).toBe(39);
  expect(objects).toEqual(objects.toSorted((a, b) => a - b));
  for (const age of [0, 1, 2]) expect(statSync(auditPath(folder.path, age)).size).toBeLessThanOrEqual(1_000);
  expect(existsSync(auditPath(folder.path, 3))).toBe(false);
});

test("a flood of refusals is folded: the first ones are told, the rest is counted", async () => {
  const log = open();
  const refused = {
    ...entry,
    code: "UNAUTHENTICATED",
    reason: "TOKEN_INVALID",
    subject: "",
    org: "",
    token: "",
  };
  for (let i = 0; i < 50_000; i++)
    log.record({ ...refused, client: `10.0.${i % 8}.1:${1_000 + (i % 5_000)}` });
  // Addresses without end are counted together.
  for (let i = 0; i < 5_000; i++) log.record({ ...refused, client: `10.1.${i >> 8}.${i & 255}:1` });
  await log.close();

  const entries = await read();
  expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(55_000);
  expect(entries.length).toBeLessThan(500);
  expect(entries.filter(({ count }) => count > 1).length).toBeGreaterThan(8);
});

test("calls that change nothing are folded like refusals, whatever is added to their token; others are not", async () => {
  const log = open();
  for (let i = 0; i < 1_000; i++)
    log.record({ ...entry, token: `abc block${i}`, code: "NOT_FOUND", reason: "MACHINE_NOT_FOUND" });
  for (let i = 0; i < 20; i++) log.record({ ...entry, code: "CANCELLED", reason: "CANCELLED" });
  await log.close();

  const entries = await read();
  const notFound = entries.filter(({ code }) => code === "NOT_FOUND");
  expect(notFound).toHaveLength(11);
  expect(notFound.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
  expect(entries.filter(({ code }) => code === "CANCELLED")).toHaveLength(20);
});

test("refusals of one caller do not hide those of another", async () => {
  const log = open();
  const refused = { ...entry, code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" };
  for (let i = 0; i < 1_000; i++) log.record({ ...refused, token: "flood" });
  log.record({ ...refused, token: "other", object: "seen" });
  await log.close();

  expect((await read()).filter(({ object }) => object === "seen")).toHaveLength(1);
});

test("an organisation or strangers with refusals of many kinds hide none of another organisation", async () => {
  const log = open();
  const refused = { ...entry, code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" };
  for (let i = 0; i < 5_000; i++) {
    log.record({ ...refused, org: "", token: "", client: `2001:db8::${i.toString(16)}:1` });
    log.record({ ...refused, org: "flood", token: `flood${i}` });
  }
  for (let i = 0; i < 3; i++) log.record({ ...refused, org: "other", token: "other", object: `seen${i}` });
  await log.close();

  const entries = await read();
  expect(entries.filter(({ object }) => object.startsWith("seen"))).toHaveLength(3);
  expect(entries.filter(({ org }) => org === "flood").reduce((sum, { count }) => sum + count, 0)).toBe(5_000);
  expect(entries.length).toBeLessThan(500);
});

test("a disk that cannot be written delays nobody; entries wait, and those beyond the bound are counted", async () => {
  const blocked = join(folder.path, "log");
  writeFileSync(blocked, "in the way");
  const bounds = { maxBytes: 100_000_000, maxFiles: 2 };
  const log = new AuditLog({ folder: blocked, bounds, syslog: undefined, otlp: undefined }, "test");
  const before = await lost();

  for (let i = 0; i < 10_100; i++) log.record({ ...entry, object: String(i) });
  const droppedNow = (await lost()) - before;
  rmSync(blocked);
  mkdirSync(blocked);
  chmodSync(blocked, 0o700);
  await expect.poll(() => existsSync(auditPath(blocked, 0))).toBe(true);
  await log.close();

  expect(droppedNow).toBe(100);
  const lines = readFileSync(auditPath(blocked, 0), "utf8").trim().split("\n");
  expect(lines).toHaveLength(10_000);
});

test("a reader who follows sees every entry once, also while files are rotated", async () => {
  const abort = new AbortController();
  const file = new AuditFile(folder.path, { maxBytes: 2_000, maxFiles: 50 });
  const seen: number[] = [];
  const following = (async () => {
    for await (const entries of readAudit(folder.path, { follow: true }, abort.signal)) {
      seen.push(...entries.map(({ object }) => Number(object)));
    }
  })().catch(() => {});
  for (let i = 0; i < 6; i++) {
    await file.append(`${toLine({ ...entry, object: String(i) })}\n`);
    await expect.poll(() => seen.at(-1)).toBe(i);
  }
  for (let i = 6; i < 12; i++) await file.append(`${toLine({ ...entry, object: String(i) })}\n`);

  await expect.poll(() => seen.at(-1)).toBe(11);
  abort.abort();
  await following;
  await file.close();
  expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => i));
});

test("a reader who follows keeps one file open, whatever is rotated, and a file it has read is given up", async () => {
  const abort = new AbortController();
  const file = new AuditFile(folder.path, { maxBytes: 400, maxFiles: 3 });
  for (let i = 0; i < 6; i++) await file.append(`${toLine({ ...entry, object: String(i) })}\n`);
  const seen: string[] = [];
  const following = (async () => {
    for await (const entries of readAudit(folder.path, { follow: true, org: "acme" }, abort.signal)) {
      seen.push(...entries.map(({ object }) => object));
    }
  })().catch(() => {});
  await expect.poll(() => seen.at(-1)).toBe("5");
  for (let i = 6; i < 8; i++) {
    await file.append(`${toLine({ ...entry, object: String(i) })}\n`);
    await expect.poll(() => seen.at(-1)).toBe(String(i));
  }
  const open = openFilesBelow(folder.path);
  abort.abort();
  await following;
  await file.close();

  // The writer's, and the reader's.
  expect(open).toHaveLength(2);
  expect(open.filter((path) => path.endsWith("(deleted)"))).toEqual([]);
  expect(openFilesBelow(folder.path)).toEqual([]);
});

test("entries of others are left out by organisation, subject and object, also such as contain the words", async () => {
  const log = open();
  log.record({ ...entry, object: "1" });
  log.record({ ...entry, org: "rival", subject: "acme", object: "2" });
  log.record({ ...entry, subject: 'you "me"', object: "3" });
  await log.close();
  const read = async (query: Partial<AuditQuery>) => {
    const all: AuditEntry[] = [];
    const { signal } = new AbortController();
    for await (const some of readAudit(folder.path, { follow: false, ...query }, signal)) all.push(...some);
    return all.map(({ object }) => object);
  };

  expect(await read({ org: "acme" })).toEqual(["1", "3"]);
  expect(await read({ org: "acme", subject: "me" })).toEqual(["1"]);
  expect(await read({ subject: 'you "me"' })).toEqual(["3"]);
  expect(await read({ org: "acme", object: "2" })).toEqual([]);
});

function openFilesBelow(path: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      // It was the folder's own.
      return [];
    }
  });
}

async function lost(): Promise<number> {
  const metric = await registry.getSingleMetric("windhover_audit_dropped_total")?.get();
  return metric?.values[0]?.value ?? 0;
}
