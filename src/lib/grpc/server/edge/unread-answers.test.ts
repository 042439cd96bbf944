import http2 from "node:http2";
import { afterEach, expect, test } from "vitest";
import { addEcho } from "../../../../../test/support/net/echo.ts";
import { framed } from "../../../../../test/support/net/flood.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { unary } from "../rpc.ts";
import { createServer, serve } from "../serve.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const ANSWER_BYTES = 500_000;

let stack = new Stack();
afterEach(async () => {
  await stack.close();
  stack = new Stack();
});

test("an organisation that does not read its answers keeps only so many of them in a service", async () => {
  const limits = { unreadBytes: 3 * ANSWER_BYTES };
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey), limits });
  let answered = 0;
  addEcho(server, {
    one: unary(() => {
      answered += 1;
      return { text: "x".repeat(ANSWER_BYTES - 100) };
    }),
  });
  const close = await serve(server, "127.0.0.1:0", 100);
  stack.add("server", close);
  const callsOf = async (org: string, count: number) => {
    const token = await mintToken(
      KEYS.privateKey,
      { subject: "somebody", org, scopes: ["machines:read"] },
      3_600,
    );
    // It takes nothing of any answer.
    const on = http2.connect(`http://127.0.0.1:${close.port}`, { settings: { initialWindowSize: 0 } });
    on.on("error", () => {});
    stack.add("session", () => on.destroy());
    return Array.from({ length: count }, () => {
      const stream = on.request({
        ":method": "POST",
        ":path": "/test.v1.Echo/One",
        "content-type": "application/grpc",
        authorization: `Bearer ${token}`,
      });
      stream.on("error", () => {});
      stream.resume();
      stream.end(framed(Buffer.from("{}")));
      return stream;
    });
  };

  const acme = await callsOf("acme", 8);
  const umbrella = await callsOf("umbrella", 2);

  await expect.poll(() => answered).toBe(10);
  await expect.poll(() => acme.filter(({ closed }) => closed).length).toBe(5);
  expect(acme.find(({ closed }) => closed)?.rstCode).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(umbrella.filter(({ closed }) => closed)).toEqual([]);
});
