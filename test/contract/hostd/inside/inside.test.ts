import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { machineTokenId } from "../../../../src/hostd/inside/machine-token.ts";
import { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { checkRestrictions, type RpcRule } from "../../../../src/lib/auth/rpc-rules.ts";
import { KEYS, startHost, type TestHost } from "../fixture.ts";

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

interface Passed {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let host: TestHost;
let id: string;
const passed: Passed[] = [];
const api = createServer(async (request, response) => {
  const body = await text(request);
  passed.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body });
  response.writeHead(201, { "content-type": "application/json", "fly-request-id": "R1" });
  response.end(JSON.stringify({ id: "other" }));
});
beforeAll(async () => {
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  // Nobody listens at the first address.
  const apis = ["127.0.0.1:1", `127.0.0.1:${(api.address() as AddressInfo).port}`];
  host = await startHost({ apis, settings: { capacity: { cpus: 64, memoryMb: 16_384, diskMb: 65_536 } } });
});
afterAll(async () => {
  await host.close();
  api.close();
});
beforeEach(async () => {
  ({ id } = await host.created());
  await host.start(id);
  passed.length = 0;
  host.audited.length = 0;
});

/** Opens a connection as a process of the machine does. */
function connect(machine = id): Duplex {
  const vmId = host.store.get(machine)?.vmId ?? "";
  const vm = host.sim.vm(vmId);
  if (!vm) throw new Error(`machine ${machine} has no VM`);
  return vm.connect();
}

/** Makes a request as a program of the machine does. */
async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = httpRequest({
    ...{ method, path, headers: { host: "flaps", connection: "close", ...headers } },
    createConnection: () => connect(),
  });
  request.once("response", resolve);
  request.once("error", reject);
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const response = await promise;
  const answer = await text(response);
  return { status: response.statusCode ?? 0, body: answer === "" ? {} : JSON.parse(answer) };
}

describe("what a host answers itself", () => {
  test.each(["/v1/machines/self", "/v1/apps/web/machines/:id", "http://anything/v1/machines/self/"])(
    "tells a program of its machine at %s",
    async (path) => {
      const { status, body } = await ask("GET", path.replace(":id", id));

      expect(status).toBe(200);
      expect(body).toMatchObject({
        ...{ id, app_name: "web", state: "started", ready: true, host_status: "ok" },
        config: { image: "nginx", guest: { cpus: 1, memory_mb: 256 } },
      });
      expect(passed).toEqual([]);
    },
  );

  test("records how long a program is busy, and the audit log names the machine", async () => {
    const set = await ask("POST", "/v1/machines/self/busy", { for: "10m" });
    const until = Date.parse(String(set.body["busy_until"]));

    expect(set.status).toBe(200);
    expect(until - Date.now()).toBeGreaterThan(9 * 60_000);
    expect((await ask("GET", "/v1/machines/self")).body["busy_until"]).toBe(set.body["busy_until"]);
    expect((await host.get(id)).busyUntilTime?.getTime()).toBe(until);
    expect((await ask("POST", "/v1/machines/self/busy", { for: "0s" })).body).toEqual({ ok: true });
    expect(host.audited[0]).toMatchObject({
      ...{ action: "machines:busy", subject: `machine:${id}`, org: "acme", object: id, code: "OK" },
    });
  });

  test("counts busy time only up to the ceiling of the owner", async () => {
    ({ id } = await host.created({ config: { maxBusy: { seconds: 60n, nanos: 0 } } }));
    await host.start(id);

    const { body } = await ask("POST", "/v1/machines/self/busy", { until: "2099-01-01T00:00:00Z" });

    expect(Date.parse(String(body["busy_until"])) - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test.each([
    [{}, "until: give either"],
    [{ for: 5 }, "for: must be a text with a unit"],
    [{ until: "soon" }, "until: must be a time"],
    [{ until: "2026-01-01T00:00:00Z", for: "1m" }, "until: give either"],
  ])("refuses %j, and says why", async (body, why) => {
    const answer = await ask("POST", "/v1/machines/self/busy", body);

    expect(answer).toMatchObject({ status: 400, body: { reason: "INVALID_FIELDS" } });
    expect(answer.body["error"]).toContain(why);
  });

  test("stops a machine whose program asks for it, after the answer", async () => {
    expect(await ask("POST", `/v1/apps/web/machines/${id}/stop`)).toEqual({
      status: 200,
      body: { ok: true },
    });

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STOPPED);
    expect((await host.get(id)).events.find(({ type }) => type === "stop")).toMatchObject({
      source: "machine",
    });
    expect(host.audited).toMatchObject([{ action: "machines:stop", subject: `machine:${id}`, code: "OK" }]);
  });

  test("suspends a machine whose program asks for it", async () => {
    expect((await ask("POST", "/v1/machines/self/suspend")).status).toBe(200);

    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.SUSPENDED);
  });
});

describe("what is passed on", () => {
  test("goes to an api with a token of the machine, whatever token the program sends", async () => {
    const path = "/v1/apps/web/machines?region=ord";
    const headers = { authorization: "Bearer mine", "idempotency-key": "k", cookie: "c=1" };

    expect(await ask("POST", path, { config: { image: "x" } }, headers)).toEqual({
      status: 201,
      body: { id: "other" },
    });
    expect(passed).toMatchObject([{ method: "POST", path, body: '{"config":{"image":"x"}}' }]);
    expect(passed[0]?.headers["idempotency-key"]).toBe("k");
    expect(passed[0]?.headers.cookie).toBeUndefined();
    const claims = await new TokenVerifier(KEYS.publicKey).verify(passed[0]?.headers.authorization);
    expect(claims).toMatchObject({ subject: `machine:${id}`, org: "acme", ids: [machineTokenId(id)] });
  });

  test("is restricted to the machine's app, and to reads, starts, creates and acquires", async () => {
    await ask("GET", "/v1/apps/web/machines");
    const claims = await new TokenVerifier(KEYS.publicKey).verify(passed[0]?.headers.authorization);
    const isAllowed = (action: string, app: string): boolean => {
      const rule: RpcRule = {
        ...{ action, scopes: ["machines:write"], isAudited: true, needsGoodStanding: true },
        ...{ kind: "app", object: "app" },
      };
      try {
        checkRestrictions(claims, rule, { app }, Date.now());
        return true;
      } catch {
        return false;
      }
    };

    expect(
      ["get", "list", "wait", "start", "create", "acquire"].every((each) =>
        isAllowed(`machines:${each}`, "web"),
      ),
    ).toBe(true);
    expect(isAllowed("machines:create", "other")).toBe(false);
    expect(
      ["machines:destroy", "machines:exec", "machines:update", "machines:logs", "apps:delete"].filter(
        (each) => isAllowed(each, "web"),
      ),
    ).toEqual([]);
  });

  test("is not what is about other apps or other things", async () => {
    expect(await ask("GET", "/v1/apps/other/machines")).toMatchObject({
      status: 404,
      body: { error: "Could not find App" },
    });
    expect(await ask("GET", "/v1/orgs/acme/machines")).toMatchObject({
      status: 404,
      body: { reason: "ROUTE_NOT_FOUND" },
    });
    expect(await ask("GET", "/v1/apps/web/machines/../../other")).toMatchObject({ status: 404 });
    expect(passed).toEqual([]);
  });

  test("ends for a suspended organisation and for a token that is revoked, and nothing else does", async () => {
    const orgs = [{ org: "acme", isSuspended: true, notBeforeMs: 0 }];
    host.revocations.replace({ version: 1, tokens: [], orgs });
    expect(await ask("GET", "/v1/apps/web/machines")).toMatchObject({
      status: 403,
      body: { reason: "ORG_BANNED" },
    });
    host.revocations.replace({ version: 2, tokens: [machineTokenId(id)], orgs: [] });
    expect(await ask("GET", "/v1/apps/web/machines")).toMatchObject({
      status: 401,
      body: { reason: "TOKEN_REVOKED" },
    });
    expect((await ask("GET", "/v1/machines/self")).status).toBe(200);
    host.revocations.replace({ version: 3, tokens: [], orgs: [] });
    expect((await ask("GET", "/v1/apps/web/machines")).status).toBe(201);
    expect(passed).toHaveLength(1);
  });

  test("is bounded: a body that is too large is refused", async () => {
    const answer = await ask("POST", "/v1/apps/web/machines", "x".repeat(1_100_000)).catch(() => undefined);

    expect(answer?.status ?? 413).toBe(413);
  });
});

describe("connections", () => {
  test("are kept for further requests, and take pipelined ones in order", async () => {
    const connection = connect();
    connection.end(
      "GET /v1/machines/self HTTP/1.1\r\n\r\nPOST /v1/machines/self/busy HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    );

    const answers = (await buffer(connection)).toString().match(/HTTP\/1\.1 \d+/g);
    expect(answers).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
  });

  test.each([
    ["what is not HTTP", "\u0016\u0003\u0001 hello\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
    ["headers that are too large", `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`],
  ])("are refused with %s", async (_what, bytes) => {
    const connection = connect();
    connection.write(bytes);

    expect((await buffer(connection)).toString()).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("of a program that asks all the time are slowed down", async () => {
    const connection = connect();
    connection.end(
      `${"GET /v1/machines/self HTTP/1.1\r\n\r\n".repeat(120)}GET / HTTP/1.1\r\nConnection: close\r\n\r\n`,
    );

    const answers = (await buffer(connection)).toString();
    expect(answers.match(/HTTP\/1\.1 200/g)?.length).toBeGreaterThanOrEqual(100);
    expect(answers).toContain("HTTP/1.1 429");
    expect(answers.toLowerCase()).toContain("retry-after: 1");
  });
});
