import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { token } from "../api/clients.ts";
import { type TestApi, World } from "../api/fixture.ts";
import { restClient, restClientWith, type Send } from "./client.ts";

let world: World;
let api: TestApi;
let send: Send;
let bearer: string;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  bearer = await token("personal", ["machines:read", "machines:write"]);
  send = await restClient(api.restAddress);
  await send("POST", "/v1/apps", { app_name: "web" });
});
afterAll(() => world.close());

/** What came back over a connection of our own, until the server closed it. */
interface Raw {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends bytes as they are, and reads until the connection ends. */
async function raw(...chunks: readonly (string | Buffer)[]): Promise<Raw> {
  return rawTo(api.restAddress, ...chunks);
}

async function rawTo(address: string, ...chunks: readonly (string | Buffer)[]): Promise<Raw> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port) });
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk));
  socket.on("error", () => {});
  for (const chunk of chunks) socket.write(chunk);
  await once(socket, "close");
  const text = Buffer.concat(received).toString();
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body: rest.join("\r\n\r\n") };
}

const close = "Connection: close\r\nHost: api\r\n";
const auth = () => `Authorization: Bearer ${bearer}\r\n${close}`;

test("every answer has ids, also those of errors, and a text for each member", async () => {
  for (const [method, path, status] of [
    ["GET", "/v1/apps/web", 200],
    ["GET", "/v1/nothing", 404],
    ["GET", "/v1/apps", 400],
    ["PUT", "/v1/apps/web", 405],
    ["GET", "/v1/apps/web/volumes", 501],
  ] as const) {
    const answer = await send(method, path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("fly-request-id")).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}-ord$/);
    expect(answer.headers.get("fly-trace-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(answer.headers.get("traceparent")).toContain(answer.headers.get("fly-trace-id"));
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    if (status !== 200) {
      const members = Object.values(answer.body as object);
      expect(members.length).toBeGreaterThanOrEqual(2);
      for (const member of members) expect(member).toEqual(expect.any(String));
    }
  }
});

test.each([
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"],
])("the trace of a %s header goes on", async (name, value) => {
  const { headers } = await send("GET", "/v1/apps/web", undefined, { [name]: value });

  expect(headers.get("fly-trace-id")).toBe("0af7651916cd43dd8448eb211c80319c");
});

test("a traceparent that is not valid is as none", async () => {
  for (const id of ["0".repeat(32), "0AF7651916CD43DD8448EB211C80319C"]) {
    const traceparent = `00-${id}-b7ad6b7169203331-01`;
    const { headers } = await send("GET", "/v1/apps/web", undefined, { traceparent });

    expect(headers.get("fly-trace-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(headers.get("fly-trace-id")).not.toBe(id.toLowerCase());
  }
});

test("of several tokens in one header the valid one counts", async () => {
  const several = restClientWith(api.restAddress, { authorization: `FlyV1 fm2_other,${bearer},fm2_more` });
  const none = restClientWith(api.restAddress, { authorization: "FlyV1 fm2_other,fm2_more" });

  expect((await several("GET", "/v1/apps/web")).status).toBe(200);
  expect((await none("GET", "/v1/apps/web")).status).toBe(401);
});

test("lists and objects of a query may be written as PHP and generated clients do", async () => {
  const create = (metadata: object) =>
    send("POST", "/v1/apps/web/machines", { config: { image: "nginx", metadata }, skip_launch: true });
  const [{ body: found }] = [await create({ php: "yes" }), await create({ php: "no" })];

  const query = "state[0]=stopped&state[1]=created&metadata%5Bphp%5D=yes";
  const { status, body } = await send("GET", `/v1/apps/web/machines?${query}`);

  expect({ status, body }).toEqual({
    status: 200,
    body: [expect.objectContaining({ id: Object(found)["id"] })],
  });
});

test("what is not built, not there, and no route is told apart", async () => {
  const [later, missing, unknown] = await Promise.all(
    ["/v1/apps/web/volumes", "/v1/apps/web/machines/00001aaaaaaaaa", "/v1/apps/web/nothing"].map((path) =>
      send("GET", path),
    ),
  );

  expect(later).toMatchObject({ status: 501, body: { status: "unimplemented", reason: "NOT_BUILT_YET" } });
  expect(missing).toMatchObject({ status: 404, body: { error: "machine not found" } });
  expect(unknown).toMatchObject({ status: 404, body: { reason: "ROUTE_NOT_FOUND" } });
});

test.each([
  "/v1/apps/web/",
  "/v1/apps/web?",
  "/v1/apps/%77eb",
  "/v1/apps/web/?unknown=1&unknown=2&x[]=3",
  "/v1/apps/web?%",
  "//v1/apps/web",
  "http://any.example/v1/apps/web",
])("the path %s is the app's, without a redirect", async (path) => {
  const answer = await raw(`GET ${path} HTTP/1.1\r\n${auth()}\r\n`);

  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toMatchObject({ name: "web" });
});

test.each(["Bearer %", "bearer %", "BEARER  %", "FlyV1 %", "flyv1 %", "Bearer FlyV1 %", "bearer flyv1 %"])(
  "the scheme of `%s` is known",
  async (scheme) => {
    const line = `AUTHORIZATION: ${scheme.replace("%", bearer)}`;

    const { status } = await raw(`GET /v1/apps/web HTTP/1.1\r\n${line}\r\n${close}\r\n`);

    expect(status).toBe(200);
  },
);

test.each([
  ["none", ""],
  ["text/plain", "Content-Type: text/plain\r\n"],
  ["a form", "Content-Type: application/x-www-form-urlencoded\r\n"],
  ["something that is none", "Content-Type: ???\r\n"],
])("JSON is JSON with the content type %s", async (_what, line) => {
  const body = '{"signal": 15}';

  const answer = await raw(
    `POST /v1/apps/web/machines/00001aaaaaaaaa/stop HTTP/1.1\r\n${line}Content-Length: ${body.length}\r\n${auth()}\r\n${body}`,
  );

  expect(JSON.parse(answer.body)).toMatchObject({ error: "machine not found" });
});

test.each(["", "[]", "{}", "null", '""', "  \n"])("the body %j is nothing", async (body) => {
  const answer = await raw(
    `POST /v1/apps/web/machines/00001aaaaaaaaa/stop HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${auth()}\r\n${body}`,
  );

  expect(answer.status).toBe(404);
});

test("a DELETE with any body, and a GET with a content type, are as those without", async () => {
  const body = "{ no JSON at all";

  const gone = await raw(
    `DELETE /v1/apps/web/machines/00001aaaaaaaaa HTTP/1.1\r\nContent-Length: ${body.length}\r\n${auth()}\r\n${body}`,
  );
  const read = await raw(`GET /v1/apps/web HTTP/1.1\r\nContent-Type: application/json\r\n${auth()}\r\n`);

  expect([gone.status, read.status]).toEqual([404, 200]);
});

test("what takes no body takes any: a start with a form is a start", async () => {
  const { body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    skip_launch: true,
  });
  const path = `/v1/apps/web/machines/${Object(body).id}`;

  const started = await send("POST", `${path}/start`, "force=1", {
    "content-type": "application/x-www-form-urlencoded",
  });
  const stopped = await send("POST", `${path}/stop`, "force=1");

  expect(started).toMatchObject({ status: 200, body: { previous_state: "created" } });
  expect(stopped).toMatchObject({ status: 400, body: { error: expect.stringContaining("is not JSON") } });
});

test.each([
  ["that is cut off", '{"config":', 400],
  ["that is a list with something", '["x"]', 400],
  ["that is a number", "7", 400],
  ["that is not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
  ["that is nested very deep", `${"[".repeat(200_000)}`, 400],
  ["with a member that JavaScript gives a meaning", '{"__proto__": {"polluted": 1}}', 400],
])("a body %s is refused with the envelope", async (_what, body, status) => {
  const bytes = Buffer.from(body);
  const head = `POST /v1/apps/web/machines HTTP/1.1\r\nContent-Length: ${bytes.length}\r\n${auth()}\r\n`;

  const answer = await raw(Buffer.concat([Buffer.from(head), bytes]));

  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.body)).toMatchObject({ error: expect.stringMatching(/^invalid_argument: /) });
  expect(answer.body).not.toMatch(/\bat .*\.ts|<html/);
});

test("every field that is wrong is named at once", async () => {
  const { status, body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: 1, guest: { cpus: "many", memory_mb: [] }, env: { A: 1 } },
    skip_launch: "perhaps",
    lease_ttl: -1,
    min_secrets_version: -1,
  });

  expect(status).toBe(400);
  const { error } = body as { error: string };
  for (const field of [
    "config.image",
    "config.guest.cpus",
    "config.guest.memory_mb",
    "config.env.A",
    "skip_launch",
    "lease_ttl",
  ])
    expect(error).toContain(`${field}: `);
  expect(error).toContain("min_secrets_version: must be at least 0");
});

test("a body of more than 1 MiB is refused, whether or not its length is told", async () => {
  const large = "x".repeat(1_024 * 1_024 + 1);
  const told = await raw(`POST /v1/apps HTTP/1.1\r\nContent-Length: ${large.length}\r\n${auth()}\r\n`);
  const chunked = await raw(
    `POST /v1/apps HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${auth()}\r\n${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`,
  );

  for (const answer of [told, chunked]) {
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body)).toMatchObject({ reason: "BODY_TOO_LARGE" });
  }
});

test("who has no valid token is answered before the body is read", async () => {
  const answer = await raw(`POST /v1/apps HTTP/1.1\r\nContent-Length: 1000000\r\nHost: api\r\n\r\n`);

  expect(answer.status).toBe(401);
  expect(JSON.parse(answer.body)).toMatchObject({ error: "Authenticate: token validation error" });
});

test.each([
  ["what is not HTTP", "hello\r\n\r\n", 400],
  ["a header without a name", "GET / HTTP/1.1\r\n: x\r\n\r\n", 400],
  ["too large headers", `GET / HTTP/1.1\r\nHost: api\r\nx: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  ["a path with a part that is very long", `GET /v1/apps/${"x".repeat(5_000)} HTTP/1.1\r\n${close}\r\n`, 400],
  [
    "a path that is not encoded right",
    `GET /v1/apps/%zz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n`,
    400,
  ],
])("%s is answered with the envelope and ids", async (_what, text, status) => {
  const answer = await raw(text);

  expect(answer.status).toBe(status);
  expect(answer.head.toLowerCase()).toMatch(/fly-request-id: .*\r\n.*/);
  expect(answer.head.toLowerCase()).toContain("content-type: application/json");
  expect(JSON.parse(answer.body)).toMatchObject({ error: expect.stringMatching(/^invalid_argument: /) });
});

test("a request without Host, or with an expectation that nobody knows, is as any other", async () => {
  const hostless = await raw(
    `GET /v1/apps/web HTTP/1.1\r\nAuthorization: Bearer ${bearer}\r\nConnection: close\r\n\r\n`,
  );
  const expecting = await raw(`GET /v1/apps/web HTTP/1.1\r\nExpect: wonders\r\n${auth()}\r\n`);
  const traced = await raw(`TRACE /v1/apps/web HTTP/1.1\r\n${auth()}\r\n`);

  expect([hostless.status, expecting.status, traced.status]).toEqual([200, 200, 405]);
  expect(JSON.parse(traced.body)).toMatchObject({ status: "method_not_allowed" });
});

test("a body that says that it is not compressed, in any case, is read", async () => {
  const head = `POST /v1/apps HTTP/1.1\r\nContent-Encoding: Identity\r\nContent-Length: 2\r\n${auth()}`;

  const answer = await raw(`${head}\r\n{}`);

  expect(JSON.parse(answer.body)).toMatchObject({ reason: "INVALID_FIELDS" });
});

test("texts that are not well-formed Unicode are stored as if they were", async () => {
  const { status, body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx", metadata: { a: "x\ud800" } },
    skip_launch: true,
  });

  expect({ status, body }).toMatchObject({ status: 200, body: { config: { metadata: { a: "x\ufffd" } } } });
});

test("a client that offers HTTP/2 by an upgrade gets its answer over HTTP/1.1", async () => {
  const body = '{"app_name":"upgraded"}';

  const answer = await raw(
    `POST /v1/apps HTTP/1.1\r\nAuthorization: Bearer ${bearer}\r\nHost: api\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );

  expect(answer.status).toBe(201);
});

const socketHeaders =
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const stream = "/v1/apps/web/machines/00001aaaaaaaaa/exec/stream";

test.each([
  ["a WebSocket where there is none", `GET /v1/apps/web HTTP/1.1\r\n${socketHeaders}`, 200],
  ["a WebSocket by another method", `POST ${stream} HTTP/1.1\r\n${socketHeaders}Content-Length: 0\r\n`, 405],
  ["a WebSocket without a key", `GET ${stream} HTTP/1.1\r\nUpgrade: websocket\r\n`, 426],
  ["a tunnel", "CONNECT api:80 HTTP/1.1\r\n", 405],
])("a request for %s gets an answer in JSON", async (_what, start, status) => {
  const answer = await raw(
    `${start}Authorization: Bearer ${bearer}\r\nHost: api\r\nConnection: Upgrade, close\r\n\r\n`,
  );

  expect(answer.status).toBe(status);
  expect(answer.head.toLowerCase()).toContain("content-type: application/json");
  expect(/^upgrade: websocket$/im.test(answer.head)).toBe(status === 426);
  expect(JSON.parse(answer.body)).toEqual(expect.any(Object));
});

test("wrong fields have the names that the request has for them", async () => {
  const { body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    skip_launch: true,
  });
  const machine = `/v1/apps/web/machines/${Object(body)["id"]}`;
  const large = "x".repeat(3_000);

  const wrong = await Promise.all([
    send("GET", "/v1/orgs/personal/machines?cursor=none&limit=1"),
    send("GET", `${machine}/wait?from_event_id=${large.slice(0, 100)}`),
    send("PATCH", `${machine}/metadata`, { metadata: { a: large } }),
    send("GET", "/v1/apps/web/watch?after=never"),
    send("POST", `${machine}/stop`, {}, { "fly-machine-lease-nonce": large.slice(0, 100) }),
  ]);

  expect(wrong.map((answer) => /^invalid_argument: ([^:]*)/.exec(Object(answer.body)["error"])?.[1])).toEqual(
    [...["cursor", "from_event_id", "metadata[a]", "after", "fly-machine-lease-nonce"]],
  );
});

test("HEAD has the headers of GET and no body; OPTIONS tells what is allowed", async () => {
  const head = await send("HEAD", "/v1/apps/web");
  const options = await send("OPTIONS", "/v1/apps/web");

  expect({ status: head.status, body: head.body }).toEqual({ status: 200, body: undefined });
  expect(options.status).toBe(204);
  expect(options.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS");
  expect(await send("OPTIONS", "/v1/nothing")).toMatchObject({
    status: 404,
    body: { reason: "ROUTE_NOT_FOUND" },
  });
  expect((await raw(`OPTIONS * HTTP/1.1\r\n${close}\r\n`)).status).toBe(204);
});

test("pages of other origins may send what the API takes, and read ids", async () => {
  const stranger = restClientWith(api.restAddress, {});

  const preflight = await stranger("OPTIONS", "/v1/apps/web/machines", undefined, {
    origin: "https://console.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, idempotency-key",
  });
  const answer = await send("GET", "/v1/apps/web", undefined, { origin: "https://console.example" });

  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
  expect(preflight.headers.get("access-control-allow-headers")).toContain("authorization");
  expect(preflight.headers.get("access-control-allow-credentials")).toBeNull();
  const missing = await stranger("GET", "/v1/nothing", undefined, { origin: "https://console.example" });
  const refused = await stranger("GET", "/v1/apps/web", undefined, { origin: "https://console.example" });

  for (const each of [answer, missing, refused]) {
    expect(each.headers.get("access-control-allow-origin")).toBe("*");
  }
  expect(answer.headers.get("access-control-expose-headers")).toContain("fly-request-id");
});

test("a client that does not finish its headers, or its body, is told so and loses its connection", async () => {
  const hasty = await world.api({ arrivalMs: { headers: 200, request: 400 } });
  const start = `POST /v1/apps HTTP/1.1\r\nAuthorization: Bearer ${bearer}\r\nHost: api\r\n`;

  const [headers, body] = await Promise.all([
    rawTo(hasty.restAddress, start),
    rawTo(hasty.restAddress, `${start}Content-Length: 100\r\n\r\n{"app_name":`),
  ]);

  for (const answer of [headers, body]) {
    expect(answer.status).toBe(408);
    expect(JSON.parse(answer.body)).toMatchObject({ reason: "REQUEST_TOO_SLOW" });
  }
});

test("hundreds of connections may be opened at once, before any has shown its token", async () => {
  const [host = "", port = ""] = api.restAddress.split(":");
  const sockets = Array.from({ length: 200 }, () => connect({ host, port: Number(port) }));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));

  const answers = sockets.map(async (socket) => {
    socket.write(`GET /v1/apps/web HTTP/1.1\r\n${auth()}\r\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(Buffer.concat(chunks).toString())?.[1]);
  });

  expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
});

test("a connection that sends many requests and reads no answer is refused, and closed", async () => {
  const one = `GET /v1/apps/web HTTP/1.1\r\nAuthorization: Bearer ${bearer}\r\nHost: api\r\n\r\n`;

  const { body } = await raw(one.repeat(40));

  expect(body).toContain("TOO_MANY_PIPELINED");
  expect(body).not.toContain("INTERNAL");
});
