import { createPublicKey } from "node:crypto";
import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { biscuits } from "../../../src/lib/auth/biscuit/user-token.ts";
import { publicBytes } from "../../../src/lib/auth/keys.ts";
import {
  bearer,
  exportRequest,
  ids,
  json,
  keys,
  privateDir,
  type Receiver,
  rawSpan,
  startReceiver,
} from "./support.ts";

let home: ReturnType<typeof privateDir>;
let receiver: Receiver;

beforeEach(async () => {
  home = privateDir();
  receiver = await startReceiver(home.dir);
});
afterEach(async () => {
  await receiver.close();
  home.remove();
});

describe("who may do what", () => {
  test.each([
    ["nobody", undefined, 401],
    ["a token of somebody else's key", "Bearer eyJhbGciOiJFZERTQSJ9.e30.AAAA", 401],
  ])("%s writes or reads nothing", async (_name, token, status) => {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token !== undefined) headers["authorization"] = token;

    const write = await fetch(`${receiver.url}/v1/traces`, { method: "POST", headers, body: "{}" });
    const read = await fetch(`${receiver.url}/api/traces`, { headers });

    expect([write.status, read.status]).toEqual([status, status]);
  });

  test("a token that only reads may not write, and a service's may not read", async () => {
    const write = await receiver.post({}, { token: await bearer("acme", "machines:read") });
    const read = await receiver.get("/api/traces", await bearer("", "telemetry"));

    expect([write.status, read.status]).toEqual([403, 403]);
    const reason = "SCOPE_MISSING";
    expect(receiver.refusals).toMatchObject([
      { action: "traces:write", org: "acme", subject: "test", code: "PERMISSION_DENIED", reason },
      { action: "traces:read", org: "", subject: "test", code: "PERMISSION_DENIED", reason },
    ]);
    expect(receiver.refusals.every(({ token, client }) => token !== "" && /:\d+$/.test(client))).toBe(true);
  });

  test.each([
    ["machines:read", 'check if app("web")', "TOKEN_RESTRICTED"],
    ["machines:read", 'check if action("machines:start")', "TOKEN_RESTRICTED"],
    ["machines:read", 'check if org("rival")', "TOKEN_RESTRICTED"],
    ["machines:read", 'check if action("machines:read")', "mine"],
    ["machines:read", 'check if org("acme")', "mine"],
    ["admin", 'check if org("acme")', "TOKEN_RESTRICTED"],
    ["admin", 'check if action("hosts:list")', "TOKEN_RESTRICTED"],
    ["admin", 'check if action("traces:read")', "all"],
  ] as const)("a token of scope %s that was restricted to %s reads: %s", async (scope, code, expected) => {
    const mine = rawSpan({}, { "windhover.org": "acme" });
    const theirs = rawSpan({}, { "windhover.org": "rival" });
    await receiver.post(exportRequest([mine, theirs]));
    const token = (await bearer("acme", scope)).slice("Bearer ".length);
    const key = publicBytes(createPublicKey(keys.publicKey));

    const answer = await receiver.get(
      "/api/traces?limit=200",
      `Bearer ${await biscuits.attenuate(token, key, code)}`,
    );

    if (expected === "TOKEN_RESTRICTED") {
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain(expected);
      return;
    }
    const seen = ids(await json(Promise.resolve(answer)));
    expect(seen.toSorted()).toEqual(
      (expected === "all" ? [mine, theirs] : [mine]).map(({ traceId }) => traceId).toSorted(),
    );
  });

  test("a token of an organisation sees its own traces, as if there were no others", async () => {
    const mine = rawSpan({}, { "windhover.org": "acme", "windhover.machine.id": "0000a0000000aa" });
    const theirs = rawSpan({}, { "windhover.org": "rival", "windhover.machine.id": "0000a0000000bb" });
    const nobodys = rawSpan();
    await receiver.post(exportRequest([mine, theirs, nobodys]));
    const token = await bearer("acme", "machines:read");

    const listed = await json(receiver.get("/api/traces?limit=200", token));
    const statuses = await Promise.all(
      [mine, theirs, nobodys].map(
        async (s) => (await receiver.get(`/api/traces/${s.traceId}`, token)).status,
      ),
    );

    expect(ids(listed)).toEqual([mine.traceId]);
    expect(ids(await json(receiver.get("/api/traces?machine=0000a0000000bb", token)))).toEqual([]);
    expect(statuses).toEqual([200, 404, 404]);
  });

  test("a client's span belongs to its own organisation, whatever it says, and opens no other's trace", async () => {
    const theirs = rawSpan({}, { "windhover.org": "rival" });
    await receiver.post(exportRequest([theirs]));
    const write = await bearer("acme", "machines:write");
    const intruder = rawSpan({ traceId: theirs.traceId, name: "intruder" }, { "windhover.org": "acme" });
    const own = rawSpan({ name: "hover app create" }, { "windhover.org": "rival" });
    await receiver.post(exportRequest([intruder, own], "hover"), { token: write });

    const [acme, rival] = [await bearer("acme", "machines:read"), await bearer("rival", "machines:read")];
    const seen = await json(receiver.get(`/api/traces/${theirs.traceId}`, rival));

    expect((await receiver.get(`/api/traces/${theirs.traceId}`, acme)).status).toBe(404);
    expect(seen.spans.map((s: { name: string }) => s.name)).toEqual(["hover machine start"]);
    expect((await receiver.get(`/api/traces/${own.traceId}`, acme)).status).toBe(200);
    expect((await receiver.get(`/api/traces/${own.traceId}`, rival)).status).toBe(404);
  });

  test("a client sends at most 16 spans at once", async () => {
    const token = await bearer("acme", "machines:write");

    const answer = await json(
      receiver.post(exportRequest(Array.from({ length: 20 }, () => rawSpan())), { token }),
    );

    expect(answer.partialSuccess.rejectedSpans).toBe("4");
  });
});

test("clients that send slowly keep no place of services and of other organisations", async () => {
  const headers = {
    authorization: await bearer("acme", "machines:write"),
    "content-type": "application/json",
  };
  const slow = Array.from({ length: 4 }, () =>
    request(`${receiver.url}/v1/traces`, { method: "POST", headers }),
  );
  for (const each of slow) {
    each.on("error", () => {});
    each.write("{");
  }
  const statusFor = async (...writer: Parameters<typeof bearer>) =>
    (await receiver.post({}, { token: await bearer(...writer) })).status;

  await expect.poll(() => statusFor("acme", "machines:write")).toBe(429);

  expect(await statusFor("rival", "machines:write")).toBe(200);
  expect(await statusFor("", "telemetry")).toBe(200);
  for (const each of slow) each.destroy();
  await expect.poll(() => statusFor("acme", "machines:write")).toBe(200);
});

test("a client's request has at most a MiB, unpacked too", async () => {
  const body = gzipSync(Buffer.alloc(1024 * 1024 + 1, " "));
  const post = (token: string) => receiver.post(body, { token, headers: { "content-encoding": "gzip" } });

  const ofClient = await post(await bearer("acme", "machines:write"));
  const ofService = await post(await bearer("", "telemetry"));

  // Blanks are no JSON.
  expect([ofClient.status, ofService.status]).toEqual([413, 400]);
});

describe("the query API", () => {
  test("lists by machine and by the beginning of the root's name, newest first", async () => {
    const about = { "windhover.machine.id": "0000b0000000cc" };
    const first = rawSpan({ name: "hover machine start" }, about);
    const second = rawSpan({ name: "hover machine stop" }, about);
    await receiver.post(exportRequest([first, second]));

    const all = await json(receiver.get("/api/traces?machine=0000b0000000cc"));
    const starts = await json(receiver.get("/api/traces?machine=0000b0000000cc&name=hover%20machine%20sta"));
    const one = await json(receiver.get("/api/traces?machine=0000b0000000cc&limit=1"));

    expect(ids(all)).toEqual([second.traceId, first.traceId]);
    expect(ids(starts)).toEqual([first.traceId]);
    expect(ids(one)).toEqual([second.traceId]);
    expect(all.traces[1]).toMatchObject({ root_name: "hover machine start", duration_us: 80_000, spans: 1 });
  });

  test("names every parameter that is wrong", async () => {
    const response = await receiver.get("/api/traces?machine=XYZ&limit=0");

    expect(response.status).toBe(400);
    expect((await json(response)).error).toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "machine,limit" },
    });
  });
});
