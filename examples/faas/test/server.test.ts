/** The server over real HTTP, with the real runner in processes instead of machines. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Functions, type ServerSettings } from "../src/server/functions-server.ts";
import { httpServer } from "../src/server/http.ts";
import { LocalFleet } from "./local-fleet.ts";

const ECHO = "export default async (input) => ({ got: input, pid: process.pid });";
interface Answer {
  readonly got?: unknown;
  readonly pid?: number;
  readonly running?: number;
  readonly code?: string;
}
const SETTINGS: ServerSettings = {
  app: "faas",
  regions: ["ord", "gru"],
  limits: { concurrency: 2, queue: 0, queueMs: 1_000 },
  startMs: 30_000,
  runMs: 30_000,
  maxMachines: 4,
};

async function serverOf(fleet: LocalFleet, settings: Partial<ServerSettings> = {}) {
  const functions = new Functions(fleet, { ...SETTINGS, ...settings }, () => undefined);
  const server = httpServer(functions, () => undefined).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await fleet.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = (body: string, type = "application/json", name = "hello") =>
    fetch(`${base}/fn/${name}`, { method: "POST", body, headers: { "content-type": type } });
  return { functions, base, post };
}

const jsonOf = async (answer: Response) => (await answer.json()) as Answer;

test("the first call starts a machine in the nearest region, and the next one uses it", async () => {
  const fleet = new LocalFleet();
  fleet.deploy("1", ECHO, ["gru", "ord"]);
  const { post } = await serverOf(fleet);

  const first = await post('{"a":1}');
  const second = await post("text", "text/plain");

  expect(first.status).toBe(200);
  expect(first.headers.get("x-faas-region")).toBe("ord");
  expect([first, second].map(({ headers }) => headers.get("x-faas-start"))).toEqual(["warm", "running"]);
  const [one, two] = [await jsonOf(first), await jsonOf(second)];
  expect([one.got, two.got]).toEqual([{ a: 1 }, "text"]);
  expect(two.pid).toBe(one.pid);
});

test("calls at once run on machines of their own, also in the other region; one more is refused", async () => {
  const fleet = new LocalFleet();
  const folder = mkdtempSync(join(tmpdir(), "faas-held-"));
  const end = join(folder, "end");
  const held = `import { existsSync } from "node:fs";
    export default async ({ end }) => {
      while (!existsSync(end)) await new Promise((resolve) => setTimeout(resolve, 10));
    };`;
  fleet.deploy("1", held, ["ord", "gru"]);
  const { base, post } = await serverOf(fleet);
  const both = [post(JSON.stringify({ end })), post(JSON.stringify({ end }))];
  await expect.poll(async () => (await jsonOf(await fetch(`${base}/fn/hello`))).running).toBe(2);

  const refused = await post("{}");

  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await refused.json()).toEqual({ error: "0 calls wait already", code: "QUEUE_FULL" });
  writeFileSync(end, "");
  const answers = await Promise.all(both);
  rmSync(folder, { recursive: true });
  expect(answers.map(({ headers }) => headers.get("x-faas-region")).sort()).toEqual(["gru", "ord"]);
});

test("a machine exits when it has been idle, and the next call starts one", async () => {
  const fleet = new LocalFleet({ idleMs: 2_000 });
  fleet.deploy("1", ECHO, ["ord"]);
  const { post, functions } = await serverOf(fleet);

  const first = await jsonOf(await post("{}"));
  await expect.poll(() => fleet.machines[0]?.child).toBeUndefined();
  await functions.refresh();
  const second = await post("{}");

  expect(second.headers.get("x-faas-start")).toBe("warm");
  expect((await jsonOf(second)).pid).not.toBe(first.pid);
});

test("a run that takes too long is answered, and its machine is stopped", async () => {
  const fleet = new LocalFleet();
  fleet.deploy("1", "export default () => new Promise(() => setInterval(() => {}, 1000));", ["ord"]);
  const { post } = await serverOf(fleet, { runMs: 500 });

  const answer = await post("{}");

  expect(answer.status).toBe(504);
  expect(await answer.json()).toMatchObject({ code: "RUN_TIMEOUT" });
  await expect.poll(() => fleet.machines[0]?.child).toBeUndefined();
});

test("what goes wrong is told as JSON", async () => {
  const fleet = new LocalFleet();
  fleet.deploy("1", "export default ({ bad }) => { if (bad) throw new Error('no such bird'); };", ["ord"]);
  const { base, post } = await serverOf(fleet);
  const codeOf = async (asked: Promise<Response>) => {
    const answer = await asked;
    return [answer.status, (await jsonOf(answer)).code];
  };

  expect(await codeOf(post('{"bad":true}'))).toEqual([500, "FUNCTION_FAILED"]);
  expect(await codeOf(post("{"))).toEqual([400, "INVALID_JSON"]);
  expect(await codeOf(post(" ".repeat(1024 * 1024 + 1)))).toEqual([413, "TOO_LARGE"]);
  expect(await codeOf(post("{}", undefined, "other"))).toEqual([404, "NO_SUCH_FUNCTION"]);
  expect(await codeOf(fetch(`${base}/fn/hello`, { method: "PUT" }))).toEqual([405, "METHOD_NOT_ALLOWED"]);
  expect(await codeOf(fetch(`${base}/`))).toEqual([404, "NO_SUCH_PATH"]);
  // The machine is still there after all that.
  expect((await post("{}")).headers.get("x-faas-start")).toBe("running");
});

test("a new version takes over, and machines of the old one are destroyed when they have exited", async () => {
  const fleet = new LocalFleet();
  fleet.deploy("1", ECHO, ["ord", "gru"]);
  const { base, post, functions } = await serverOf(fleet);
  await post("{}");

  fleet.deploy("2", "export default () => 'new';", ["ord"]);
  await functions.refresh();

  expect(await (await post("{}")).json()).toBe("new");
  for (const { id, version } of fleet.machines) if (version === "1") await fleet.stop(id);
  await expect
    .poll(async () => {
      await functions.refresh();
      return (await fleet.list()).map(({ id }) => id);
    })
    .toEqual(["2-2"]);
  expect(await (await fetch(`${base}/fn/hello/logs`)).text()).toBe("2-2 line of 2-2\n");
});
