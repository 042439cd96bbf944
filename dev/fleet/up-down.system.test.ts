import { spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freeRun } from "../../test/support/crash/free-run.ts";
import { type TemporaryFolder, temporaryFolder } from "../../test/support/temporary.ts";
import { guestFolder, ROOT } from "../../tools/lib/paths.ts";
import { isAlive, sendSignal } from "../../tools/lib/processes.ts";
import { layoutOf } from "../settings/layout.ts";
import { freePorts } from "../settings/ports.ts";
import { isSupervised, readState } from "../supervisor/state.ts";
import { findLeftovers } from "../supervisor/sweep.ts";

let scratch: TemporaryFolder;
let environment: NodeJS.ProcessEnv;

beforeEach(async () => {
  scratch = temporaryFolder("updown");
  const [api, scheduler, registry, traces, tracesGrpc, webConsole, ...others] = await freePorts(12);
  const [apiMetrics, schedulerMetrics, rest, ...proxy] = others;
  environment = {
    ...process.env,
    WINDHOVER_DIR: scratch.path,
    // Made once; only looked at here.
    WINDHOVER_GUEST_DIR: guestFolder(),
    API_LISTEN: `127.0.0.1:${api}`,
    SCHEDULER_LISTEN: `127.0.0.1:${scheduler}`,
    REGISTRY_LISTEN: `127.0.0.1:${registry}`,
    TRACES_LISTEN: `127.0.0.1:${traces}`,
    TRACES_GRPC_LISTEN: `127.0.0.1:${tracesGrpc}`,
    CONSOLE_LISTEN: `127.0.0.1:${webConsole}`,
    API_METRICS_LISTEN: `127.0.0.1:${apiMetrics}`,
    API_REST_LISTEN: `127.0.0.1:${rest}`,
    SCHEDULER_METRICS_LISTEN: `127.0.0.1:${schedulerMetrics}`,
    PROXY_LISTEN: `127.0.0.1:${proxy[0]}`,
    PROXY_TLS_LISTEN: `127.0.0.1:${proxy[1]}`,
    PROXY_METRICS_LISTEN: `127.0.0.1:${proxy[2]}`,
    HOSTS_FIRST_PORT: String(await freeRun(4)),
    HOSTS_FIRST_METRICS_PORT: String(await freeRun(4)),
    HOSTD_VMM: "sim",
  };
});

afterEach(async () => {
  await command("down");
  scratch.remove();
});

test("up returns when all is ready, once more says so, and down leaves nothing", async () => {
  const first = await command("up");
  expect(first).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Windhover is up \(.*samples\/hello:latest/s),
  });
  expect(state()).toMatchObject({ phase: "ready", hosts: [{ number: 1 }, { number: 2 }] });
  const supervisor = state()?.supervisor;

  const second = await command("up");
  expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining("Windhover is up already.") });
  expect(state()?.supervisor).toEqual(supervisor);

  expect(await command("down")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Windhover is down"),
  });
  expectNothingLeft();
  expect(await command("down")).toMatchObject({ code: 0, stdout: expect.stringContaining("was not up") });
});

test("a fleet whose supervisor was killed, and one that was killed whole, comes up again", async () => {
  await command("up");
  const supervisor = state()?.supervisor;
  if (supervisor === undefined) throw new Error("no supervisor");
  const parts = state()?.parts.flatMap((part) => part.process ?? []) ?? [];
  expect(parts.filter(isAlive)).toEqual(parts);
  expect(parts.length).toBeGreaterThan(5);

  sendSignal(supervisor, "SIGKILL");
  await expect.poll(() => parts.filter(isAlive)).toEqual([]);
  expect(await command("up")).toMatchObject({ code: 0 });

  for (const each of [state()?.supervisor, ...(state()?.parts.map((part) => part.process) ?? [])]) {
    if (each !== undefined) sendSignal(each, "SIGKILL");
  }
  expect(await command("up")).toMatchObject({ code: 0 });
  expect(state()?.phase).toBe("ready");
});

test("a taken port is reported before anything starts", async () => {
  const server = createServer();
  const port = Number(environment["REGISTRY_LISTEN"]?.split(":")[1]);
  await once(server.listen(port, "127.0.0.1"), "listening");

  const up = await command("up");
  await once(server.close(), "close");

  expect(up.code).toBe(1);
  expect(up.stderr).toMatch(
    new RegExp(`127.0.0.1:${port} \\(registry\\) is taken by .*REGISTRY_LISTEN=127.0.0.1:PORT`),
  );
  expectNothingLeft();
});

test("a signal while the fleet comes up ends it cleanly", async () => {
  const child = spawn(process.execPath, [join(ROOT, "tools/run.mjs"), "dev/commands/up.ts"], {
    env: environment,
    stdio: "ignore",
  });
  await expect
    .poll(() => state()?.parts.some((part) => part.state === "ready"), { timeout: 60_000 })
    .toBe(true);

  child.kill("SIGTERM");
  const [code] = await once(child, "exit");

  expect(code).toBe(143);
  expectNothingLeft();
});

async function command(name: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [join(ROOT, "tools/run.mjs"), `dev/commands/${name}.ts`], {
    env: environment,
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return { code, stdout, stderr };
}

function state() {
  return readState(join(scratch.path, "fleet.json"));
}

function expectNothingLeft(): void {
  const { vms, postgres, others } = findLeftovers(layoutOf(scratch.path));
  expect([...vms, ...postgres, ...others]).toEqual([]);
  const now = state();
  expect(now !== undefined && isSupervised(now)).toBe(false);
  const files = readdirSync(scratch.path, { recursive: true, encoding: "utf8" });
  expect(files.filter((file) => lstatSync(join(scratch.path, file)).isSocket())).toEqual([]);
}
