import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { token } from "../../api/clients.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, restClientWith, type Send } from "../client.ts";
import { type Raw, rawTo } from "./raw-http.ts";

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

/** Sends bytes as they are, and reads until the connection ends. */
async function raw(...chunks: readonly (string | Buffer)[]): Promise<Raw> {
  return rawTo(api.restAddress, ...chunks);
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

test("a WebSocket that is asked for ahead of an answer gets an answer over HTTP/1.1, after that one", async () => {
  const ahead = `GET /v1/apps/web HTTP/1.1\r\nAuthorization: Bearer ${bearer}\r\nHost: api\r\n\r\n`;

  const { status, body } = await raw(
    `${ahead}GET ${stream} HTTP/1.1\r\n${socketHeaders}Authorization: Bearer ${bearer}\r\nHost: api\r\nConnection: Upgrade, close\r\n\r\n`,
  );

  expect(status).toBe(200);
  expect(body).toMatch(/HTTP\/1\.1 426 /);
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
