import { WebSocket } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { issueToken } from "../../../../src/lib/auth/auth.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { KEYS, token } from "../../api/clients.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { Reporter } from "../../api/watches/fixture.ts";
import { restClient, type Send } from "../client.ts";
import { readSse } from "../sse-client.ts";

let world: World;
let api: TestApi;
let send: Send;
let headers: Record<string, string>;
let machine: Machine;
let reporter: Reporter;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  send = await restClient(api.restAddress);
  headers = { authorization: `Bearer ${await token("personal", ["machines:read", "machines:write"])}` };
  await api.user.createApp("web");
  await api.user.createApp("other");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("update hosts set applied_sequence = 0");
  reporter = new Reporter(world);
  const created = await api.user.create({ skipLaunch: true });
  if (!created.machine) throw new Error("no machine");
  machine = created.machine;
});

// A stream that its client has left counts until the server has noticed.
afterEach(() => expect.poll(() => api.inProgress.streams).toBe(0));

/** Opens a stream; the caller ends it. */
function open(path: string, more: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`http://${api.restAddress}${path}`, {
    headers: { ...headers, ...more },
    ...(signal ? { signal } : {}),
  });
}

test.each([
  ["a machine", () => `/v1/apps/web/machines/${machine.id}/watch`],
  ["a machine, as its events", () => `/v1/apps/web/machines/${machine.id}/events`],
  ["an app", () => "/v1/apps/web/watch"],
  ["an organisation", () => "/v1/orgs/personal/watch"],
])("a watch of %s begins with what is now, and goes on where an earlier one ended", async (_what, path) => {
  const sse = { accept: "text/event-stream" };
  const first = await open(path(), sse);
  expect(first.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  let position = "";
  for await (const { id, data } of readSse(first)) {
    if (data !== undefined)
      expect(data).toMatchObject({ app: "web", machine: { id: machine.id, state: "created" } });
    // It comes later where a transaction of another test was under way.
    position = id;
    if (position !== "") break;
  }

  const change = reporter.change(machine, MachineState.STARTED);
  await reporter.report(api, [change]);
  const second = await open(path(), { ...sse, "last-event-id": position });

  for await (const { event, data } of readSse(second)) {
    if (data === undefined) continue;
    expect(event).toBe("start");
    expect(data).toMatchObject({
      machine: { id: machine.id, state: "started" },
      event: { id: change.event?.id, type: "start", source: "flyd" },
    });
    break;
  }
});

test("a watch of what is not there is an error with its status, not a stream", async () => {
  for (const [path, error] of [
    ["/v1/apps/nobody/watch", "Could not find App"],
    ["/v1/apps/web/machines/00001aaaaaaaaa/watch", "machine not found"],
    [`/v1/apps/other/machines/${machine.id}/watch`, "machine not found"],
    ["/v1/orgs/others/watch", "Could not find Organization"],
  ] as const)
    expect(await send("GET", path)).toMatchObject({ status: 404, body: { error } });
});

test("a watch that its client leaves, and a HEAD of one, take nothing of the organisation's share", async () => {
  const left = new AbortController();
  const response = await open("/v1/apps/web/watch", {}, left.signal);
  const reader = response.body?.getReader();
  await reader?.read();
  expect(api.inProgress.streams).toBe(1);

  left.abort();
  await reader?.closed.catch(() => {});
  const head = await send("HEAD", "/v1/apps/web/watch");

  expect(head.status).toBe(200);
  await expect.poll(() => api.inProgress.streams).toBe(0);
  await expect.poll(() => api.feed.size).toBe(0);
});

test("a watch ends with an error when its token is revoked", async () => {
  const { tokens } = api.admin;
  const { token: own, id } = await issueToken(
    KEYS.privateKey,
    { subject: "me", org: "personal", scopes: ["machines:read"] },
    600,
  );
  const response = await open("/v1/apps/web/watch", { authorization: `Bearer ${own}` });
  const events = readSse(response);
  await events.next();

  await call(tokens, tokens.revokeToken, { id }, { timeoutMs: 20_000 });

  for await (const { event, data } of events) {
    if (event !== "error") continue;
    expect(data).toMatchObject({ status: "unauthenticated", reason: "TOKEN_REVOKED" });
    return;
  }
  expect.unreachable("the watch ended without an error");
});

test("logs are JSON lines, or server-sent events that go on after a sequence", async () => {
  world.host(1).lines.splice(0, Number.POSITIVE_INFINITY, "one", "two", "three");
  const path = `/v1/apps/web/machines/${machine.id}/logs`;

  const plain = await open(path);
  const lines = (await plain.text()).trim().split("\n");
  const events = await open(path, { accept: "text/event-stream", "last-event-id": "1" });
  const messages: unknown[] = [];
  for await (const { id, data } of readSse(events)) messages.push([id, Object(data)["message"]]);

  expect(plain.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { stream: "stdout", message: "one", sequence: 1 },
    { message: "two", sequence: 2 },
    { message: "three", sequence: 3 },
  ]);
  expect(messages).toEqual([
    ["2", "two"],
    ["3", "three"],
  ]);
});

test("an exec stream needs a WebSocket, and says over it why it cannot be", async () => {
  const path = "/v1/apps/web/machines/00001aaaaaaaaa/exec/stream";
  expect(await send("GET", path)).toMatchObject({ status: 426, body: { reason: "UPGRADE_REQUIRED" } });

  const socket = new WebSocket(`ws://${api.restAddress}${path}`, { headers });
  const messages: unknown[] = [];
  const code = await new Promise<number>((resolve) => {
    socket.addEventListener("open", () => socket.send('{"command":["true"]}'));
    socket.addEventListener("message", ({ data }) => messages.push(JSON.parse(String(data))));
    socket.addEventListener("close", (event) => resolve(event.code));
  });

  expect(messages).toMatchObject([{ error: "machine not found" }]);
  expect(code).toBe(1_011);
  await expect.poll(() => api.inProgress.calls + api.inProgress.streams).toBe(0);
});

test("a WebSocket of somebody without a token is refused before it is one", async () => {
  const socket = new WebSocket(`ws://${api.restAddress}/v1/apps/web/machines/${machine.id}/exec/stream`);

  const ended = await new Promise<string>((resolve) => {
    socket.addEventListener("open", () => resolve("open"));
    socket.addEventListener("error", () => resolve("refused"));
  });

  expect(ended).toBe("refused");
});
