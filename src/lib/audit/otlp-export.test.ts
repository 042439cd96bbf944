import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { auditEntry as entry } from "../../../test/support/audit-entry.ts";
import { LogCollector } from "../../../test/support/telemetry/log-collector.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { registry } from "../otel/metrics.ts";
import { createLogger } from "../runtime/log.ts";
import { AuditLog } from "./audit-log.ts";
import { readAudit } from "./read-audit.ts";

createLogger("test", { write: () => {} });

const BOUNDS = { maxBytes: 100_000_000, maxFiles: 2 };
const PATIENT = { timeout: 20_000 };

let folder: TemporaryFolder;
let collector: LogCollector;

beforeEach(async () => {
  folder = temporaryFolder("otlp");
  collector = await LogCollector.start();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await collector.stop().catch(() => {});
  folder.remove();
});

function open(url = collector.url): AuditLog {
  return new AuditLog({ folder: folder.path, bounds: BOUNDS, syslog: undefined, otlp: url }, "test");
}

async function inFiles(): Promise<number> {
  let count = 0;
  const query = { follow: false };
  for await (const entries of readAudit(folder.path, query, AbortSignal.timeout(10_000)))
    count += entries.length;
  return count;
}

async function lost(): Promise<number> {
  const metric = await registry.getSingleMetric("windhover_audit_otlp_dropped_total")?.get();
  return metric?.values[0]?.value ?? 0;
}

const objects = () => collector.records.map(({ attributes }) => attributes["object"]);

test("an entry is a log record with its time, its trace and its fields by their names", async () => {
  vi.stubEnv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "authorization=Bearer%20xyz");
  const log = open();
  log.record(entry);
  log.record({ ...entry, code: "NOT_FOUND", reason: "MACHINE_NOT_FOUND", traceId: "", object: "" });
  await log.close();

  const { method, action, kind, object, subject, org, token, code, client } = entry;
  expect(collector.requests).toEqual([
    { path: "/v1/logs", headers: expect.objectContaining({ authorization: "Bearer xyz" }) },
  ]);
  expect(collector.records).toEqual([
    expect.objectContaining({
      timeUnixNano: `${entry.timeMs}000000`,
      severityText: "INFO",
      traceId: entry.traceId,
      body: { stringValue: `${method} OK` },
      attributes: { method, action, kind, object, subject, org, token, code, client },
      resource: expect.objectContaining({ "service.name": "windhover-test" }),
    }),
    expect.objectContaining({
      severityText: "WARN",
      attributes: expect.objectContaining({ code: "NOT_FOUND", reason: "MACHINE_NOT_FOUND" }),
    }),
  ]);
  expect(collector.records[1]).not.toHaveProperty("traceId");
  expect(collector.records[1]?.attributes).not.toHaveProperty("object");
});

test("entries are sent soon and in batches, and closing sends the rest", async () => {
  const log = open();
  for (let i = 0; i < 1_000; i++) log.record({ ...entry, object: String(i) });
  await expect.poll(() => collector.records.length, PATIENT).toBe(1_000);
  for (let i = 1_000; i < 1_300; i++) log.record({ ...entry, object: String(i) });
  await log.close();

  expect(objects()).toEqual(Array.from({ length: 1_300 }, (_, i) => String(i)));
  expect(collector.requests.length).toBeLessThan(10);
});

test("while the collector is away entries go to the files and wait, and it gets them when it is back", async () => {
  const { url, port } = collector;
  await collector.stop();
  const log = open(url);
  for (let i = 0; i < 300; i++) log.record({ ...entry, object: String(i) });
  await expect.poll(inFiles, PATIENT).toBe(300);

  collector = await LogCollector.start(port);
  await expect.poll(() => collector.records.length, PATIENT).toBe(300);
  await log.close();

  expect(objects()).toEqual(Array.from({ length: 300 }, (_, i) => String(i)));
});

test("entries beyond the bound are counted, as are those that wait when the service ends", async () => {
  const { url } = collector;
  await collector.stop();
  const before = await lost();
  const log = open(url);

  for (let i = 0; i < 10_100; i++) log.record(entry);
  const beyond = (await lost()) - before;
  await log.close();

  expect(beyond).toBe(100);
  expect((await lost()) - before).toBe(10_100);
  // The files have what fits into their own bound.
  expect(await inFiles()).toBe(10_000);
});

test("entries that the collector refuses are counted and do not hold up others", async () => {
  const before = await lost();
  collector.status = 400;
  const log = open();
  for (let i = 0; i < 3; i++) log.record(entry);
  await expect.poll(lost, PATIENT).toBe(before + 3);

  collector.status = 200;
  log.record({ ...entry, object: "later" });
  await log.close();

  expect(objects()).toEqual(["later"]);
  expect((await lost()) - before).toBe(3);
});

test("a collector that answers with an error of its own is asked again", async () => {
  collector.status = 503;
  const log = open();
  log.record(entry);
  await expect.poll(() => collector.requests.length, PATIENT).toBeGreaterThan(0);

  collector.status = 200;
  await expect.poll(() => collector.records.length, PATIENT).toBe(1);
  await log.close();
});

test("a service without a collector loads nothing for one", async () => {
  const url = new URL("audit-log.ts", import.meta.url).href;
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    const { AuditLog } = await import(${JSON.stringify(url)});
    const log = new AuditLog({ folder: undefined, bounds: {}, syslog: undefined, otlp: undefined }, "test");
    log.record(${JSON.stringify(entry)});
    await log.close();
    console.log(JSON.stringify(loaded.filter((each) => /sdk-logs|exporter-logs|otlp-collector|audit-log/.test(each))));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);

  expect(JSON.parse(stdout.trim().split("\n").at(-1) ?? "")).toEqual([url]);
});
