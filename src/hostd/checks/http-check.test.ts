import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { HttpCheck } from "../machines/health/check-plan.ts";
import { runHttpCheck } from "./http-check.ts";

const CHECK: HttpCheck = {
  ...{ method: "GET", path: "/up", isTls: false, serverName: "", acceptsAnyCertificate: false },
  ...{ headers: [], status: 0, body: "" },
};
const never = new AbortController().signal;

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

function portOf(of: Server | undefined): number {
  const address = of?.address();
  if (!address || typeof address === "string") throw new Error("the server does not listen");
  return address.port;
}

async function check(listener: RequestListener, fields: Partial<HttpCheck> = {}, timeoutMs = 5_000) {
  server = createServer(listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return runHttpCheck({ ...CHECK, ...fields }, portOf(server), timeoutMs, never);
}

test("any success passes", async () => {
  const result = await check((_, response) => response.writeHead(204).end());
  expect(result).toEqual({ isPassing: true, output: "GET /up: 204 No Content" });
});

test("a redirect is not followed, and fails unless it is expected", async () => {
  const redirect: RequestListener = (_, response) => response.writeHead(302, { location: "/x" }).end("moved");
  expect(await check(redirect)).toEqual({ isPassing: false, output: "GET /up: 302 Found: moved" });
  server?.close();
  expect(await check(redirect, { status: 302 })).toMatchObject({ isPassing: true });
});

test("method, path and headers are sent, a header with several values several times", async () => {
  let seen: unknown;
  const headers = [
    { name: "X-One", values: ["1"] },
    { name: "x-Many", values: ["a", "b"] },
    { name: "X-many", values: ["ü €"] },
    { name: "Host", values: ["app.test"] },
  ];
  await check(
    ({ method, url, headersDistinct }, response) => {
      const { host, "x-one": one, "x-many": many } = headersDistinct;
      seen = { method, url, host, one, many };
      response.end();
    },
    { method: "HEAD", path: "/x?y=1", headers },
  );
  expect(seen).toEqual({
    method: "HEAD",
    url: "/x?y=1",
    host: ["app.test"],
    one: ["1"],
    many: ["a", "b", latin1("ü €")],
  });
});

/** UTF-8, as Node reads headers. */
function latin1(text: string): string {
  return Buffer.from(text).toString("latin1");
}

test("a body must contain the text, within its first 64 KiB", async () => {
  const body = "y".repeat(60_000);
  const early: RequestListener = (_, response) => response.end(`${body}needle`);
  expect(await check(early, { body: "needle" })).toMatchObject({ isPassing: true });
  server?.close();
  const late: RequestListener = (_, response) => response.end(`${body}${body}needle`);
  const result = await check(late, { body: "needle" });
  expect(result).toMatchObject({ isPassing: false, output: expect.stringContaining('"needle"') });
});

test("a program that does not answer in time, refuses or breaks off fails", async () => {
  expect(await check(() => {}, {}, 50)).toMatchObject({
    isPassing: false,
    output: "GET /up: no answer within 50 ms",
  });
  const port = portOf(server);
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  const refused = await runHttpCheck(CHECK, port, 5_000, never);
  expect(refused.output).toBe("GET /up: the connection was refused");
  expect(await check((request) => request.socket.destroy())).toMatchObject({ isPassing: false });
});

test("a program that sends its body without end does not hold a check up", async () => {
  const endless: RequestListener = (_, response) => {
    const more = () => response.write("z".repeat(10_000)) && setImmediate(more);
    response.on("drain", more);
    more();
  };
  expect(await check(endless)).toMatchObject({ isPassing: true });
  server?.closeAllConnections();
  server?.close();
  expect(await check(endless, { body: "needle" })).toMatchObject({ isPassing: false });
});

test("a header that cannot be sent fails the check alone", async () => {
  const headers = [{ name: "bad name", values: ["x"] }];
  expect(await check(() => {}, { headers })).toMatchObject({ isPassing: false });
});
