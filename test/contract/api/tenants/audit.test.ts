import { createPublicKey } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AuditEntry, ReadAuditRequest } from "../../../../src/gen/windhover/admin/v1/audit.ts";
import { mintToken } from "../../../../src/lib/auth/auth.ts";
import { biscuits } from "../../../../src/lib/auth/biscuit/user-token.ts";
import { publicBytes } from "../../../../src/lib/auth/keys.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { LogCollector } from "../../../support/telemetry/log-collector.ts";
import { type Clients, clients, KEYS } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const ALL: ReadAuditRequest = { org: "", subject: "", object: "", sinceTime: undefined, follow: false };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("delete from apps");
  await api?.close();
  api = await world.api();
});

async function read(as: Clients, query: Partial<ReadAuditRequest> = {}): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  const stream = openStream(as.audit, as.audit.readAudit, { ...ALL, ...query }, LIMIT);
  for await (const batch of stream) entries.push(...batch.entries);
  return entries;
}

/** Waits until the log has an entry of this action. */
async function entryOf(action: string, query: Partial<ReadAuditRequest> = {}): Promise<AuditEntry> {
  const found = async () => (await read(api.admin, query)).find((entry) => entry.action === action);
  await expect.poll(found).toBeDefined();
  return (await found()) as AuditEntry;
}

describe("the audit log", () => {
  test("says who did what on which object, with what result, from where and in which trace", async () => {
    await api.user.createApp("web");
    const { machine } = await api.user.create({ app: "web" });
    await api.user.get(machine?.id ?? "");

    const created = await entryOf("machines:create");
    const app = await entryOf("apps:create");

    expect(created).toMatchObject({
      method: "windhover.machines.v1.MachinesService/CreateMachine",
      object: machine?.id,
      subject: "test",
      org: "personal",
      code: "OK",
      reason: "",
      count: 1,
    });
    expect(created.token).toMatch(/^[0-9a-f]{24}$/);
    expect(created.client).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(app).toMatchObject({ kind: "app", object: "web" });
    expect((await read(api.admin)).map(({ action }) => action)).not.toContain("machines:get");
  });

  test("has changes that failed, with the reason", async () => {
    await faultOf(api.user.start("0000a1b2c3d4e5"));

    expect(await entryOf("machines:start")).toMatchObject({
      object: "0000a1b2c3d4e5",
      code: "NOT_FOUND",
      kind: "machine",
    });
  });

  test("has what was refused: without a token, and with too little", async () => {
    const nobody = await clients(api.address, undefined);
    await faultOf(nobody.get("0000a1b2c3d4e5"));
    await faultOf(call(api.user.orgs, api.user.orgs.getOrganization, { slug: "personal" }, LIMIT));

    const missing = await entryOf("machines:get");
    const scope = await entryOf("orgs:get");

    expect(missing).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_MISSING", subject: "", org: "" });
    expect(scope).toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE_MISSING", subject: "test" });
  });

  test("is shown to an organisation as far as it is its own, and to operators whole", async () => {
    await world.sql(
      "insert into organizations values ('acme', 'Acme', 'good', 5, 5000) on conflict do nothing",
    );
    const acme = await api.as("acme", ["machines:read", "machines:write"]);
    await acme.createApp("shop");
    await api.user.createApp("web");
    await entryOf("apps:create", { object: "web" });

    const own = await read(acme);
    const asked = await read(acme, { org: "personal" });
    const all = await read(api.admin, {});

    expect(own.map(({ object }) => object)).toEqual(["shop"]);
    expect(asked).toEqual([]);
    expect(all.map(({ org }) => org)).toEqual(expect.arrayContaining(["acme", "personal"]));
    const writer = await api.as("acme", ["machines:write"]);
    expect(await faultOf(read(writer))).toMatchObject({ reason: "SCOPE_MISSING" });
  });

  test("is filtered by subject, object and time, and followed", async () => {
    await api.user.createApp("web");
    await entryOf("apps:create");
    const sinceTime = new Date();
    const abort = new AbortController();
    const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal: abort.signal };
    const followed = openStream(
      api.admin.audit,
      api.admin.audit.readAudit,
      { ...ALL, sinceTime, follow: true, object: "shop" },
      scope,
    );
    const next = followed.next();
    await api.user.createApp("shop");

    expect((await next).value).toMatchObject({ entries: [{ object: "shop", action: "apps:create" }] });
    abort.abort();
    expect(await read(api.admin, { sinceTime, object: "web" })).toEqual([]);
    expect((await read(api.admin, { subject: "test", object: "web" })).length).toBe(1);
    expect(await read(api.admin, { subject: "nobody" })).toEqual([]);
  });

  test("is readable by its owner only, and has no secret in it", async () => {
    await api.user.createApp("web");
    const env = { PASSWORD: "canary-7f3a" };
    await api.user.create({ app: "web", config: { env } });
    await entryOf("machines:create");

    const path = join(api.auditDir, "audit.jsonl");
    expect([statSync(path).mode & 0o777, statSync(api.auditDir).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(readFileSync(path, "utf8")).not.toContain("canary-7f3a");
  });

  test("goes to a syslog server, too", async () => {
    const receiver = createSocket("udp4").bind(0, "127.0.0.1");
    await once(receiver, "listening");
    const logging = await world.api({ syslog: `127.0.0.1:${receiver.address().port}` });
    const received = once(receiver, "message");
    await logging.user.createApp("syslog");

    const [message]: unknown[] = await received;
    expect(String(message)).toMatch(/^<109>1 \S+ \S+ windhover-api \d+ audit - \{.*"action":"apps:create"/);
    await logging.close();
    receiver.close();
  });

  test("goes to an OpenTelemetry collector, too, with the trace of the call", async () => {
    const collector = await LogCollector.start();
    const logging = await world.api({ otlp: collector.url });
    await logging.user.createApp("otlp");
    await expect.poll(() => collector.records.length + linesOf(logging.auditDir).length).toBe(2);

    const [{ trace_id, time, ...fields } = {}] = linesOf(logging.auditDir);
    const [record] = collector.records;
    expect(record).toMatchObject({ attributes: fields, traceId: trace_id });
    expect(record?.resource["service.name"]).toBe("windhover-api");
    expect(new Date(Number(record?.timeUnixNano.slice(0, -6))).toISOString()).toBe(time);
    await logging.close();
    await collector.stop();
  });

  test("holds up no call while its collector is away", async () => {
    const collector = await LogCollector.start();
    const { url: otlp } = collector;
    await collector.stop();
    const logging = await world.api({ otlp });

    for (const name of ["one", "two", "three"]) await logging.user.createApp(name);
    await expect.poll(() => linesOf(logging.auditDir).length).toBe(3);
    await logging.close();
  });
});

describe("an attenuated token", () => {
  test("is taken for what its holder has left of it", async () => {
    const { machine } = await api.user.createApp("web").then(() => api.user.create({ app: "web" }));
    const restricted = async (code: string) => clients(api.address, await attenuated(code));
    const reader = await restricted('check if action("machines:read")');
    const starter = await restricted(`check if action("machines:start"), machine("${machine?.id}")`);
    const ofShop = await restricted('check if app("shop")');
    const ofOther = await restricted('check if org("other")');

    await reader.get(machine?.id ?? "");
    await starter.start(machine?.id ?? "");
    await ofShop.createApp("shop");
    for (const refused of [
      () => reader.start(machine?.id ?? ""),
      () => starter.get(machine?.id ?? ""),
      () => starter.start("0000a1b2c3d4e5"),
      () => ofShop.create({ app: "web" }),
      () => ofShop.start(machine?.id ?? ""),
      () => ofOther.get(machine?.id ?? ""),
    ]) {
      const reason = "TOKEN_RESTRICTED";
      expect(await faultOf(refused())).toMatchObject({ code: "PERMISSION_DENIED", reason });
    }
  });
});

function linesOf(folder: string): Record<string, unknown>[] {
  const path = join(folder, "audit.jsonl");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

async function attenuated(code: string): Promise<string> {
  const grant = { subject: "x", org: "personal", scopes: ["machines:read", "machines:write"] } as const;
  const token = await mintToken(KEYS.privateKey, grant, 60);
  return await biscuits.attenuate(token, publicBytes(createPublicKey(KEYS.publicKey)), code);
}
