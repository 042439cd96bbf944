import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HealthCheckResponse_ServingStatus, HealthClient } from "../../../src/gen/grpc/health/v1/health.ts";
import { SchedulerServiceClient } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { call, connect } from "../../../src/lib/grpc/client.ts";
import { bound } from "../../support/servers/bound.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { eventually, KEYS, reserveRequest, token } from "./fixture.ts";

const MAIN = fileURLToPath(new URL("../../../src/scheduler/main.ts", import.meta.url));

let folder: TemporaryFolder;
let running: ChildProcess | undefined;

beforeEach(() => {
  folder = temporaryFolder("scheduler");
  writeFileSync(join(folder.path, "1.public.pem"), KEYS.publicKey);
});
afterEach(() => {
  running?.kill("SIGKILL");
  running = undefined;
  folder.remove();
});

function settings(): Record<string, string> {
  return {
    SCHEDULER_LISTEN: `unix:${join(folder.path, "scheduler.sock")}`,
    SCHEDULER_REGION: "ord",
    SCHEDULER_METRICS_LISTEN: `unix:${join(folder.path, "metrics.sock")}`,
    REDIS_URL: join(folder.path, "redis.sock"),
    TOKEN_KEYS_DIR: folder.path,
  };
}

function start(env: Record<string, string>, ...args: string[]) {
  const child = spawn(...bound(process.execPath, [MAIN, ...args]), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "close").then(([code]: unknown[]) => code);
  return { child, ended, output: () => output };
}

test("starts and serves without Redis, and ends cleanly on SIGTERM", async () => {
  const env = settings();
  const { child, ended, output } = start(env);
  const address = env["SCHEDULER_LISTEN"] ?? "";
  const health = connect(HealthClient, address, { ownConnection: true });
  const client = connect(SchedulerServiceClient, address, { token, ownConnection: true });

  await eventually(() =>
    call(health, health.check, { service: "" }, { timeoutMs: 1_000 }).catch(() => undefined),
  ).toEqual({ status: HealthCheckResponse_ServingStatus.SERVING });
  await expect(call(client, client.reserve, reserveRequest(), { timeoutMs: 20_000 })).rejects.toMatchObject({
    reason: "REDIS_UNAVAILABLE",
  });
  child.kill("SIGTERM");

  expect(await ended).toBe(0);
  expect(output()).toContain('"msg":"ready"');
  health.close();
  client.close();
});

test("reports everything that is wrong with its configuration", async () => {
  const { ended, output } = start({ SCHEDULER_BID_WINDOW: "0", SCHEDULER_LISTEN: "here" });

  expect(await ended).toBe(1);
  for (const name of [
    "SCHEDULER_LISTEN",
    "SCHEDULER_REGION",
    "REDIS_URL",
    "SCHEDULER_BID_WINDOW",
    "TOKEN_KEYS_DIR",
  ]) {
    expect(output()).toContain(name);
  }
});

test("shows its configuration without passwords", async () => {
  const env = { ...settings(), REDIS_URL: "redis://user:hunter2@127.0.0.1:6379" };
  const { ended, output } = start(env, "--check-config");

  expect(await ended).toBe(0);
  expect(output()).toContain("SCHEDULER_RESERVATION_TTL=5s");
  expect(output()).toContain("SCHEDULER_BID_WINDOW=150ms");
  expect(output()).not.toContain("hunter2");
});

test.each([
  ["LOG_LEVEL", "error", []],
  ["LOG_LEVEL", "info", ["ready", "stopping"]],
  ["SCHEDULER_LOG_LEVEL", "warn", []],
])("%s=%s leaves out what is below", async (variable, level, lines) => {
  const { child, ended, output } = start({ ...settings(), LOG_LEVEL: "debug", [variable]: level });
  const health = connect(HealthClient, settings()["SCHEDULER_LISTEN"] ?? "", { ownConnection: true });

  await eventually(() =>
    call(health, health.check, { service: "" }, { timeoutMs: 1_000 }).catch(() => undefined),
  ).toEqual({ status: HealthCheckResponse_ServingStatus.SERVING });
  health.close();
  child.kill("SIGTERM");
  expect(await ended).toBe(0);

  const logged: { level: string; msg: string }[] = output()
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
  const infos = logged.filter((line) => line.level === "info").map((line) => line.msg);
  expect(infos).toEqual(lines);
});
