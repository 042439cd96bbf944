import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/support/temporary.ts";
import { registry } from "../../otel/metrics.ts";
import { createLogger } from "../../runtime/log.ts";
import { createServer, type Running, serve } from "../server/serve.ts";
import { addHealth, Health } from "./health.ts";
import { warmUp } from "./warm-up.ts";

createLogger("test", { write: () => {} });

const NEVER = new AbortController().signal;

async function serving(address: string): Promise<Running> {
  const server = createServer();
  const health = new Health([]);
  addHealth(server, health);
  return serve(server, address, 500, health);
}

/** Calls of health that this process has served. */
async function served(): Promise<number> {
  const page = await registry.getSingleMetricAsString("rpc_server_call_duration_seconds");
  const counts = [...page.matchAll(/_count\{.*rpc_status_code="OK".*\} (\d+)/g)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test.each(["0.0.0.0:0", "127.0.0.1:0", "unix"])("a server at %s is called so many times", async (listen) => {
  const folder = temporaryFolder("warm-up");
  const address = listen === "unix" ? `unix:${folder.path}/socket` : listen;
  const close = await serving(address);
  const before = await served();

  await warmUp(address, close.port, 25, () => "", NEVER);

  expect((await served()) - before).toBe(25);
  await close();
  folder.remove();
});

test("it ends early when it is told to, and when the server has gone", async () => {
  const close = await serving("127.0.0.1:0");
  const before = await served();

  const abort = new AbortController();
  const calling = warmUp("127.0.0.1:0", close.port, 1_000_000, () => "", abort.signal);
  await expect.poll(served).toBeGreaterThan(before);
  abort.abort();
  await calling;
  const { port } = close;
  await close();
  await warmUp("127.0.0.1:0", port, 1_000_000, () => "", NEVER);

  expect((await served()) - before).toBeLessThan(1_000_000);
});

test("none is none", async () => {
  const before = await served();

  await warmUp("127.0.0.1:1", 1, 0, () => "", NEVER);

  expect(await served()).toBe(before);
});
