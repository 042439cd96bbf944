import http2 from "node:http2";
import { expect, test } from "vitest";
import { listen } from "../../../src/lib/runtime/listen.ts";
import { DataPlane } from "../../../src/proxy/data-plane.ts";
import { Client, CONNECTIONS, request, SETTINGS, TestProxy, unusedPort } from "./fixture.ts";

test("a proxy that stops ends idle connections, finishes what is under way, and takes nothing new", async () => {
  const programs = await TestProxy.start();
  const plane = new DataPlane(programs.router, {
    ...SETTINGS,
    ...{ certificates: undefined, tcpHost: "127.0.0.1", connections: CONNECTIONS },
  });
  const port = await listen(plane.clear, "127.0.0.1:0", "PROXY_LISTEN");
  const raw = await unusedPort();
  let finish = () => {};
  let isAsked = false;
  await programs.app("slow", (_req, res) => {
    isAsked = true;
    finish = () => res.end("done");
  });
  await programs.app("quick", (_req, res) => res.end("quick"));
  await programs.app("raw", [await programs.rawMachine((socket) => socket.pipe(socket))], {
    port: raw,
    service: { handlers: [] },
  });
  await plane.listenAt(new Set([raw]));
  const [idle, busy, tunnel] = [new Client(port), new Client(port), new Client(raw)];
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  idle.write("GET / HTTP/1.1\r\nHost: quick.localhost\r\n\r\n");
  busy.write("GET / HTTP/1.1\r\nHost: slow.localhost\r\n\r\n");
  tunnel.write("x");
  await expect.poll(() => idle.text.includes("quick") && isAsked && tunnel.text === "x").toBe(true);
  await expect.poll(() => session.connecting).toBe(false);

  let isDrained = false;
  const drained = plane.drain().then(() => {
    isDrained = true;
  });

  await expect.poll(() => idle.isClosed).toBe(true);
  await expect.poll(() => session.closed).toBe(true);
  expect([busy.isClosed, isDrained, tunnel.isClosed]).toEqual([false, false, false]);
  expect((await request(port, "quick.localhost", "/", {})).raw).toBe("");
  finish();
  await drained;
  await expect.poll(() => busy.isClosed).toBe(true);
  expect(busy.text).toContain("done");

  await plane.close();
  await expect.poll(() => tunnel.isClosed).toBe(true);
  await expect.poll(() => programs.router.held).toBe(0);
  session.destroy();
  await programs.close();
});
