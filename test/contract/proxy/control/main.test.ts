import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MachineState, PortConfig } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { bound } from "../../../support/servers/bound.ts";
import { unusedPort } from "../fixture.ts";
import { ControlFixture, KEYS, machineRoute, routesOf, serviceConfig } from "./fixture.ts";

const MAIN = join(import.meta.dirname, "../../../../src/proxy/main.ts");

let fixture: ControlFixture;
const program = createServer((_, answer) => answer.end("hello from the machine"));
let proxy: ChildProcess | undefined;

beforeEach(async () => {
  fixture = await ControlFixture.start();
  await once(program.listen(0, "127.0.0.1"), "listening");
  fixture.host.add("m1", (program.address() as AddressInfo).port);
  fixture.api.routes = [{ ...routesOf(fixture.host, machineRoute("m1")), beginsAnew: true, position: "p1" }];
  writeFileSync(join(fixture.folder.path, "1.public.pem"), KEYS.publicKey);
  writeFileSync(join(fixture.folder.path, "1.private.pem"), KEYS.privateKey);
});
afterEach(async () => {
  proxy?.kill("SIGKILL");
  program.closeAllConnections();
  program.close();
  await fixture.close();
});

/** Runs the proxy. @returns its port, and that of its metrics */
async function run(more: Readonly<Record<string, string>> = {}): Promise<{
  readonly child: ChildProcess;
  readonly port: number;
  readonly metrics: number;
}> {
  const metrics = await unusedPort();
  const child = spawn(...bound(process.execPath, [MAIN]), {
    env: {
      PATH: process.env["PATH"],
      ...{ PROXY_LISTEN: "127.0.0.1:0", PROXY_METRICS_LISTEN: `127.0.0.1:${metrics}`, PROXY_REGION: "ord" },
      ...{
        PROXY_APIS: fixture.api.address,
        PROXY_STATE_DIR: join(fixture.folder.path, "state"),
        PROXY_GRACE: "1s",
      },
      TOKEN_KEYS_DIR: fixture.folder.path,
      ...more,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  proxy = child;
  const ready = Promise.withResolvers<number>();
  createInterface(child.stdout).on("line", (text) => {
    const line: unknown = text.startsWith("{") ? JSON.parse(text) : {};
    const { msg, port } = line as { readonly msg?: string; readonly port?: number };
    if (msg === "ready") ready.resolve(port ?? 0);
  });
  child.once("exit", (code) => ready.reject(new Error(`the proxy ended with ${code}`)));
  return { child, port: await ready.promise, metrics };
}

async function get(port: number, host: string) {
  const asked = request({ port, host: "127.0.0.1", headers: { host } }).end();
  const [answer] = await once(asked, "response");
  let body = "";
  for await (const chunk of answer) body += String(chunk);
  return { status: answer.statusCode as number, headers: answer.headers as Record<string, string>, body };
}

test("the proxy starts a machine for a request, says so, keeps its routes and ends with its signal", async () => {
  const { child, port, metrics } = await run();
  const health = async () => (await fetch(`http://127.0.0.1:${metrics}/healthz`)).status;
  await expect.poll(health).toBe(200);

  const answer = get(port, "web.localhost");
  await expect.poll(() => fixture.host.log).toContainEqual("start m1 proxy true");
  fixture.host.change("m1", { ready: true });

  expect(await answer).toMatchObject({
    status: 200,
    body: "hello from the machine",
    headers: {
      "x-windhover-start": expect.stringMatching(/^path=warm; queue=.*; start=.*; ready=.*; trace=trace-1$/),
    },
  });
  expect(await get(port, "nobody.localhost")).toMatchObject({
    status: 404,
    headers: { "x-windhover-error": "NO_SUCH_APP" },
  });
  const page = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  expect(page).toContain('windhover_proxy_wakes_total{path="warm",outcome="ok"} 1');
  expect(page).toContain('windhover_proxy_routes{kind="machines"} 1');

  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  const kept: unknown = JSON.parse(readFileSync(join(fixture.folder.path, "state/routes.json"), "utf8"));
  expect(kept).toMatchObject({ position: "p1", machines: [{ id: "m1" }] });
});

test("a service with the handler http is served by host name at a port of its own", async () => {
  const own = await unusedPort();
  const services = [serviceConfig({ ports: [PortConfig.fromPartial({ port: own, handlers: ["http"] })] })];
  const routes = routesOf(fixture.host, machineRoute("m1", { services }));
  fixture.api.routes = [{ ...routes, beginsAnew: true, position: "p1" }];
  fixture.host.change("m1", { state: MachineState.STARTED, ready: true });

  await run({ PROXY_TCP_PORTS: `${own}-${own}` });

  // It listens a moment later.
  const ask = () => get(own, "web.localhost").catch(() => undefined);
  await expect.poll(async () => (await ask())?.body).toBe("hello from the machine");
});
