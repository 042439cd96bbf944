import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { Syslog } from "./syslog.ts";

test.each(["127.0.0.1", "localhost"])("entries arrive at %s in the form of RFC 5424", async (host) => {
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  await once(server, "listening");
  const syslog = new Syslog(`${host}:${server.address().port}`, "api");
  const received: string[] = [];
  server.on("message", (message: Buffer) => received.push(message.toString()));

  syslog.send(1e12, '{"n":1}');
  syslog.send(1e12, '{"n":2}');

  await expect.poll(() => received.length).toBe(2);
  expect(received[0]).toMatch(/^<109>1 2001-09-09T01:46:40\.000Z \S+ windhover-api \d+ audit - \{"n":1\}$/);
  syslog.close();
  server.close();
});
