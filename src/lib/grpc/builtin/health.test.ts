import { afterEach, beforeEach, expect, test } from "vitest";
import { HealthClient } from "../../../gen/grpc/health/v1/health.ts";
import { TokenVerifier } from "../../auth/auth.ts";
import { generateKeyPair } from "../../auth/keys.ts";
import { call, connect, openStream } from "../client.ts";
import { createServer, type Running, serve } from "../server/serve.ts";
import { addHealth, Health } from "./health.ts";

const SERVICE = "windhover.test.v1.Test";
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
const soon = { timeoutMs: 15_000 };

let health: Health;
let close: Running;
let client: HealthClient;

beforeEach(async () => {
  health = new Health([SERVICE]);
  // With a verifier: health must answer those who have no token.
  const server = createServer({ verifier: new TokenVerifier(generateKeyPair().publicKey) });
  addHealth(server, health);
  close = await serve(server, "127.0.0.1:0", 100, health);
  client = connect(HealthClient, `127.0.0.1:${close.port}`);
});
afterEach(async () => {
  client.close();
  await close();
});

test("a health that is not started does not serve", () => {
  expect(new Health([SERVICE]).status("")).toBe(NOT_SERVING);
});

test("the whole and each service are answered, without a token", async () => {
  const whole = await call(client, client.check, { service: "" }, soon);
  const one = await call(client, client.check, { service: SERVICE }, soon);
  const { statuses } = await call(client, client.list, {}, soon);

  expect([whole.status, one.status]).toEqual([SERVING, SERVING]);
  expect(Object.fromEntries(statuses)).toEqual({ "": { status: SERVING }, [SERVICE]: { status: SERVING } });
});

test("a service nobody knows is NOT_FOUND when checked, and may still appear when watched", async () => {
  const checked = await call(client, client.check, { service: "later" }, soon).catch((err: unknown) => err);
  const seen: number[] = [];
  for await (const { status } of openStream(client, client.watch, { service: "later" }, soon)) {
    seen.push(status);
    if (status === SERVING) break;
    health.set("later", true);
  }

  expect(checked).toMatchObject({
    code: "NOT_FOUND",
    reason: "SERVICE_UNKNOWN",
    facts: { service: "later" },
  });
  expect(seen).toEqual([SERVICE_UNKNOWN, SERVING]);
});

test("one service that is not ready makes the whole not serving, and watchers see it come back", async () => {
  const seen: number[] = [];

  for await (const { status } of openStream(client, client.watch, { service: SERVICE }, soon)) {
    seen.push(status);
    if (seen.length === 1) health.set(SERVICE, false);
    if (seen.length === 2) {
      expect((await call(client, client.check, { service: "" }, soon)).status).toBe(NOT_SERVING);
      health.set(SERVICE, true);
    }
    if (seen.length === 3) break;
  }

  expect(seen).toEqual([SERVING, NOT_SERVING, SERVING]);
});

test("setting what is already so tells watchers nothing", async () => {
  const abort = new AbortController();
  const watch = health.watch(SERVICE, abort.signal);
  const first = await watch.next();
  const second = watch.next();

  health.set(SERVICE, true);
  health.set(SERVICE, false);

  expect([first.value, (await second).value]).toEqual([SERVING, NOT_SERVING]);
  health.set(SERVICE, true);
  abort.abort();
});
