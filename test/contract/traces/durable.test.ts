import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bound } from "../../support/servers/bound.ts";
import { bearer, exportRequest, keys, privateDir, rawSpan, requests, startReceiver } from "./support.ts";

const ABOUT_MACHINE = { "windhover.machine.id": "0000a0000000aa" };
let home: ReturnType<typeof privateDir>;
const children: ChildProcess[] = [];

beforeEach(() => {
  home = privateDir();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  home.remove();
});

test("spans that were answered with 200 survive kill -9", async () => {
  const first = await startProcess();
  const span = rawSpan();
  expect((await first.post(exportRequest([span]))).status).toBe(200);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");

  const second = await startProcess();

  expect((await second.get(`/api/traces/${span.traceId}`)).status).toBe(200);
});

test("SIGTERM ends it cleanly", async () => {
  const receiver = await startProcess();

  receiver.child.kill("SIGTERM");

  expect(await once(receiver.child, "exit")).toEqual([0, null]);
});

test("a database that cannot be read is put aside", async () => {
  writeFileSync(join(home.dir, "traces.db"), Buffer.alloc(8_192, 7));

  const receiver = await startReceiver(home.dir);
  const span = rawSpan();
  await receiver.post(exportRequest([span]));

  expect((await receiver.get(`/api/traces/${span.traceId}`)).status).toBe(200);
  expect(statSync(join(home.dir, "traces.db.broken")).size).toBe(8_192);
  // Nobody but us may read what is in traces.
  expect(statSync(join(home.dir, "traces.db")).mode & 0o777).toBe(0o600);
  expect(statSync(join(home.dir, "traces.db-wal")).mode & 0o777).toBe(0o600);
  await receiver.close();
});

test("only so many traces are kept, the last ones among them", async () => {
  const receiver = await startReceiver(home.dir, 20);
  const spans = Array.from({ length: 50 }, () => rawSpan({}, ABOUT_MACHINE));
  for (const span of spans) await receiver.post(exportRequest([span]));

  const listed = await (await receiver.get("/api/traces?limit=200")).text();

  expect(JSON.parse(listed).traces.length).toBe(20);
  expect((await receiver.get(`/api/traces/${spans[49]?.traceId}`)).status).toBe(200);
  await receiver.close();
});

test("the services' regular calls do not push out traces of machines", async () => {
  const receiver = await startReceiver(home.dir, 20);
  const start = rawSpan({}, ABOUT_MACHINE);
  await receiver.post(exportRequest([start]));
  for (let i = 0; i < 60; i++) await receiver.post(exportRequest([rawSpan({ name: "AnnounceHost" })]));

  const listed = await (await receiver.get("/api/traces?limit=200")).text();

  expect((await receiver.get(`/api/traces/${start.traceId}`)).status).toBe(200);
  expect(JSON.parse(listed).traces.length).toBe(6);
  await receiver.close();
});

test("a client cannot push out traces of services", async () => {
  const receiver = await startReceiver(home.dir, 20);
  const aboutMachines = Array.from({ length: 15 }, () => rawSpan({}, ABOUT_MACHINE));
  await receiver.post(exportRequest(aboutMachines));
  const token = await bearer("acme", "machines:write");
  for (let i = 0; i < 40; i++) await receiver.post(exportRequest([rawSpan()], "hover"), { token });

  const statuses = await Promise.all(
    aboutMachines.map(async (s) => (await receiver.get(`/api/traces/${s.traceId}`)).status),
  );

  expect(new Set(statuses)).toEqual(new Set([200]));
  await receiver.close();
});

test("the file stays within its budget while far more than that is sent", async () => {
  const budget = 4 * 1024 * 1024;
  const receiver = await startReceiver(home.dir, 100_000, budget);
  const filler = { "some.attribute": "x".repeat(4_000), "another.attribute": "y".repeat(4_000) };
  let last = rawSpan();
  for (let sent = 0; sent < 5 * budget; sent += 100 * 8_000) {
    const spans = Array.from({ length: 100 }, () => rawSpan({}, { ...filler, ...ABOUT_MACHINE }));
    last = spans[99] ?? last;
    expect((await receiver.post(exportRequest(spans))).status).toBe(200);
  }

  const size = ["", "-wal"].reduce(
    (sum, suffix) => sum + statSync(join(home.dir, `traces.db${suffix}`)).size,
    0,
  );
  expect(size).toBeLessThan(budget + 8 * 1024 * 1024);
  expect((await receiver.get(`/api/traces/${last.traceId}`)).status).toBe(200);
  await receiver.close();
});

async function startProcess() {
  writeFileSync(join(home.dir, "1.public.pem"), keys.publicKey);
  const child = spawn(...bound(process.execPath, ["src/traces/main.ts"]), {
    env: {
      ...process.env,
      TRACES_LISTEN: "127.0.0.1:0",
      TRACES_GRPC_LISTEN: "127.0.0.1:0",
      TRACES_DIR: home.dir,
      TOKEN_KEYS_DIR: home.dir,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port } = JSON.parse(line);
    if (msg === "ready") return { child, ...requests(`http://127.0.0.1:${port}`) };
  }
  throw new Error("the receiver ended before it was ready");
}
