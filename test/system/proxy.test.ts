/** The proxy as a process of a fleet whose machines are simulated. */
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts, splitAddress } from "../../dev/settings/ports.ts";
import { MachineState, PortConfig, ServiceConfig } from "../../src/gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../src/lib/grpc/messages/duration.ts";
import { run } from "../../tools/lib/run.ts";
import { makeCertificate } from "../contract/proxy/certificate.ts";
import { configOf, type Machine } from "../support/clients.ts";
import { FAAS } from "../support/faas/faas.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { Programs } from "./world/programs.ts";
import { openWorld, type World } from "./world/world.ts";

const WEB = PortConfig.fromPartial({ port: 80, handlers: ["http"] });
const IDLE_MS = 1_000;

const certificates = temporaryFolder("certificates");
let programs: Programs;
let world: World;
let ca: string;
let tcpPort: number;

beforeAll(async () => {
  ca = await makeCertificate(certificates.path, "apps", ["all.localhost"]);
  [tcpPort = 0] = await freePorts(1);
  world = await openWorld(1, {
    PROXY_CERTIFICATES: certificates.path,
    PROXY_TCP_PORTS: `${tcpPort}-${tcpPort}`,
  });
  programs = await Programs.run(world.fleet);
});
afterAll(async () => {
  await programs?.close();
  await world?.close();
  certificates.remove();
});

/** Makes an app of one stopped machine. */
async function appOf(name: string, ...ports: Partial<ServiceConfig>[]) {
  await world.clients.createApp(name);
  const services = ports.map((port) => ({ ...ServiceConfig.create(), autostart: true, ...port }));
  const config = configOf(world.image, { services });
  const machine = await world.clients.create({ app: name, skipLaunch: true, config });
  // The proxy learns of it a moment later.
  await expect.poll(() => get(`${name}.localhost`).then(({ status }) => status)).toBe(200);
  await world.clients.stop(machine.id);
  return machine;
}

/** Address of a listener of the proxy. */
function listener(name: "PROXY_LISTEN" | "PROXY_TLS_LISTEN") {
  const { host, port } = splitAddress(world.fleet.part("proxy").spec.environment[name] ?? "");
  return { host, port };
}

async function get(hostname: string, secure = false) {
  const headers = { host: hostname };
  const asked = secure
    ? https.get({ ...listener("PROXY_TLS_LISTEN"), servername: hostname, ca, headers, agent: false })
    : http.get({ ...listener("PROXY_LISTEN"), headers, agent: false });
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return { status: answer.statusCode, start: answer.headers["x-windhover-start"], body: await text(answer) };
}

/** Sends bytes to a port, and returns what comes back. */
async function sent(port: number, bytes: string): Promise<string> {
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(client, "connect");
  client.end(bytes);
  return await text(client);
}

/** Requests again and again, each connection its own, until told to end; returns how each was answered. */
function askAgainAndAgain(hostname: string) {
  const end = new AbortController();
  const answers: string[] = [];
  const done = (async () => {
    while (!end.signal.aborted) answers.push(await get(hostname).then(({ body }) => body, String));
  })();
  const stop = async (): Promise<readonly string[]> => {
    end.abort();
    await done;
    return answers;
  };
  return { answers, stop };
}

async function stateOf({ id }: Machine): Promise<MachineState> {
  return (await world.clients.get(id)).state;
}

test("a request starts the machine, by TLS as well, and so does a connection to a port of its own", async () => {
  const machine = await appOf(
    "all",
    { internalPort: 8080, ports: [WEB, PortConfig.fromPartial({ port: 443, handlers: ["tls", "http"] })] },
    { internalPort: 9000, ports: [PortConfig.fromPartial({ port: tcpPort })] },
  );
  const woken = expect.stringMatching(/^path=\w+; queue=.*; start=.*; ready=.*; trace=\w+$/);

  const clear = await get("all.localhost");
  await world.clients.stop(machine.id);
  const secure = await get("all.localhost", true);
  const again = await get("all.localhost", true);
  await world.clients.stop(machine.id);
  // The proxy listens there within a second of hearing of it.
  await expect.poll(() => sent(tcpPort, "bytes as they are").catch(String)).toBe("bytes as they are");

  expect(clear).toEqual({ status: 200, start: woken, body: "hello by http" });
  expect(secure).toEqual({ status: 200, start: woken, body: "hello by https" });
  expect(again).toEqual({ status: 200, start: undefined, body: "hello by https" });
  expect(await stateOf(machine)).toBe(MachineState.STARTED);
});

test("a proxy that has just begun serves with apis, Postgres, Redis, scheduler and registry away", async () => {
  const machine = await appOf("alone", { internalPort: 8080, ports: [WEB] });
  const away = ["api", "postgres", "redis", "scheduler", "registry"];
  await world.fleet.stop(...away);

  await world.fleet.restart("proxy");
  const answer = await get("alone.localhost");

  expect(answer).toMatchObject({ status: 200, body: "hello by http" });
  await world.fleet.start(...away);
  await world.fleet.awaitHosts();
  expect(await stateOf(machine)).toBe(MachineState.STARTED);
});

test("requests go on while the host's daemon is killed, and the proxy after its kill", async () => {
  await appOf("crash", { internalPort: 8080, ports: [WEB] });
  const before = await get("crash.localhost");

  const requests = askAgainAndAgain("crash.localhost");
  await world.fleet.crash("hostd-1");
  const answered = requests.answers.length;
  await expect.poll(() => requests.answers.length).toBeGreaterThan(answered);
  const answers = await requests.stop();
  await world.fleet.crash("proxy");
  const after = await get("crash.localhost");

  expect(before.status).toBe(200);
  expect(new Set(answers)).toEqual(new Set(["hello by http"]));
  expect(after).toMatchObject({ status: 200, start: undefined, body: "hello by http" });
});

test("an idle machine is stopped, also when its proxy was killed while it had requests, and starts again", async () => {
  const service = { autostop: "stop", idleTimeout: durationToProto(IDLE_MS) };
  const machine = await appOf("idle", { internalPort: 8080, ports: [WEB], ...service });
  const requests = askAgainAndAgain("idle.localhost");
  await expect.poll(() => requests.answers.length).toBeGreaterThan(2);

  await world.fleet.crash("proxy");
  await requests.stop();

  await expect.poll(() => stateOf(machine)).toBe(MachineState.STOPPED);
  expect(await get("idle.localhost")).toMatchObject({ status: 200, start: expect.stringContaining("path=") });
});

test("functions as a service in twenty lines of curl: deployed asleep, woken by a call, removed", async () => {
  const { host, port } = listener("PROXY_LISTEN");
  const [WINDHOVER_REST, WINDHOVER_PROXY] = [world.fleet.rest, `http://${host}:${port}`];
  const env = { ...process.env, WINDHOVER_REST, WINDHOVER_PROXY, WINDHOVER_TOKEN: world.fleet.token };
  const script = (...args: string[]) => run(join(FAAS, "curl/faas.sh"), args, { env });
  const states = async () => (await world.clients.list("curlew")).map(({ state }) => state).sort();

  await script("deploy", "curlew", world.image);
  const asleep = await states();
  await expect.poll(() => script("call", "curlew", '{"name": "curlew"}').catch(String)).toBe("hello by http");
  // Lists are of the database, which hears of a start from its host.
  await expect.poll(states).toContain(MachineState.STARTED);
  await script("remove", "curlew");

  expect(asleep).toEqual([MachineState.CREATED, MachineState.CREATED]);
  await expect(states()).rejects.toMatchObject({ reason: "APP_NOT_FOUND" });
  await expect.poll(() => script("call", "curlew", "{}").catch(String)).toContain("NO_SUCH_APP");
});
