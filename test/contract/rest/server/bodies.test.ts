import { afterAll, beforeAll, expect, test } from "vitest";
import { token } from "../../api/clients.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, type Send } from "../client.ts";
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

test("values that are wrong are named beside wrong types, and in the same words", async () => {
  const config = { image: "UPPER", files: [{}], env: { A: 1 }, guest: { cpus: 99 } };
  const wrong = await send("POST", "/v1/apps/web/machines", {
    config,
    name: "Not A Name",
    skip_launch: "maybe",
  });

  const text = String(Object(wrong.body)["error"]);
  expect(wrong.status).toBe(400);
  for (const field of ["config.image", "config.env.A", "config.guest.cpus", "skip_launch", "name"])
    expect(text).toContain(`${field}: `);
  expect(text).toContain("config.files[0].guest_path: is required");
});

test("what is kept and not acted on is named in the answer, and nothing else is", async () => {
  const config = { image: "nginx", init: { swap_size_mb: 256 }, auto_stop_machines: "stop", metrics: null };
  const sent = { skip_launch: true, skip_secrets: false, lsvd: false };
  const made = await send("POST", "/v1/apps/web/machines", {
    ...sent,
    config,
    min_secrets_version: 3,
  });
  const { id } = Object(made.body);
  const plain = { config: { image: "nginx", stop_config: { timeout: "90s" } }, skip_secrets: true };
  const updated = await send("POST", `/v1/apps/web/machines/${id}`, plain);

  expect(Object(made.body)["warnings"].toSorted()).toEqual([
    "config.auto_stop_machines is not acted on: that is its name in a fly.toml; write autostop",
    "config.init.swap_size_mb is not acted on",
    "min_secrets_version is not acted on",
  ]);
  expect(updated.status).toBe(200);
  expect(updated.body).not.toHaveProperty("warnings");
  expect((await send("GET", `/v1/apps/web/machines/${id}`)).body).not.toHaveProperty("warnings");
});

test("an entry of the metadata is removed by an empty value, and not by a slip of the pen", async () => {
  const config = { image: "nginx", metadata: { a: "1" } };
  const { body } = await send("POST", "/v1/apps/web/machines", { config, skip_launch: true });
  const entry = `/v1/apps/web/machines/${Object(body)["id"]}/metadata/a`;

  const slip = await send("POST", entry, { val: "2" });
  expect(slip).toMatchObject({ status: 400, body: { error: expect.stringContaining("value: is required") } });
  expect((await send("GET", entry)).body).toEqual({ value: "1" });
  expect((await send("POST", entry, { value: "" })).status).toBe(204);
  expect((await send("GET", entry)).status).toBe(404);
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

test("wrong fields have the names that the request has for them", async () => {
  const { body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    skip_launch: true,
  });
  const machine = `/v1/apps/web/machines/${Object(body)["id"]}`;
  const large = "x".repeat(3_000);

  const wrong = await Promise.all([
    send("GET", "/v1/orgs/personal/machines?cursor=none&limit=1"),
    send("GET", `${machine}/wait?from_event_id=newest`),
    send("GET", `${machine}/wait?instance_id=latest`),
    send("PATCH", `${machine}/metadata`, { metadata: { a: large } }),
    send("GET", "/v1/apps/web/watch?after=never"),
    send("GET", "/v1/apps/web/watch?after=never", undefined, { "last-event-id": "" }),
    send("POST", `${machine}/stop`, {}, { "fly-machine-lease-nonce": large.slice(0, 100) }),
    send("POST", machine, { config: { image: "nginx" }, lease_ttl: 0.5 }),
  ]);

  expect(wrong.map((answer) => /^invalid_argument: ([^:]*)/.exec(Object(answer.body)["error"])?.[1])).toEqual(
    [
      ...["cursor", "from_event_id", "version", "metadata[a]", "after", "after"],
      ...["fly-machine-lease-nonce", "lease_ttl"],
    ],
  );
});
