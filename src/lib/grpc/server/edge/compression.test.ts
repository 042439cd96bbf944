import { deflateSync, gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { addEcho } from "../../../../../test/support/net/echo.ts";
import { framed } from "../../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../../test/support/net/raw-call.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import type { Scope } from "../../../auth/claims.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { addHealth, Health } from "../../builtin/health.ts";
import { unary } from "../rpc.ts";
import { createServer, serve } from "../serve.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const CHECK = "/grpc.health.v1.Health/Check";
const ECHO = "/test.v1.Echo/One";
const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;
const GZIP = { "grpc-encoding": "gzip" };

let stack = new Stack();
let requests: number[] = [];
afterEach(async () => {
  await stack.close();
  stack = new Stack();
  requests = [];
});

/** Serves echo and health, with tokens. Returns a connection. */
async function connected() {
  const server = createServer({
    verifier: new TokenVerifier(KEYS.publicKey),
    limits: { requestBytes: 100_000 },
  });
  const health = new Health([]);
  addEcho(server, {
    one: unary(({ text }) => {
      requests.push(text.length);
      return { text: "" };
    }),
  });
  addHealth(server, health);
  const close = await serve(server, "127.0.0.1:0", 100, health);
  stack.add("server", close);
  return openSession(stack, `127.0.0.1:${close.port}`);
}

async function tokenOf(org: string, scopes: readonly Scope[] = ["machines:read"]) {
  const token = await mintToken(KEYS.privateKey, { subject: "somebody", org, scopes }, 3_600);
  return { authorization: `Bearer ${token}` };
}

/** A compressed message. */
function packed(bytes: Buffer): Buffer {
  const message = framed(bytes);
  message[0] = 1;
  return message;
}

function textOf(length: number): Buffer {
  return Buffer.from(JSON.stringify({ text: "x".repeat(length) }));
}

test("a stranger's compressed message is unpacked within what the open method takes", async () => {
  const on = await connected();

  const bomb = beginCall(on, CHECK, packed(gzipSync(Buffer.alloc(3_000_000), { level: 9 })), GZIP);

  await expect.poll(() => bomb.status).toBe(RESOURCE_EXHAUSTED);
});

test.each([
  ["gzip", gzipSync],
  ["deflate", deflateSync],
])(
  "an organisation's request by %s may have as much as one that is not compressed",
  async (encoding, pack) => {
    const on = await connected();
    const headers = { ...(await tokenOf("acme")), "grpc-encoding": encoding };
    const call = (body: Buffer) => beginCall(on, ECHO, body, headers);

    const one = call(packed(pack(textOf(90_000))));
    const plain = call(framed(textOf(10)));
    const large = call(packed(pack(textOf(110_000))));
    const many = call(Buffer.concat([1, 2, 3].map(() => packed(pack(textOf(40_000))))));

    await expect.poll(() => [large.status, many.status]).toEqual([RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED]);
    // Both wait for the end of their requests.
    expect([one.status, plain.status]).toEqual([-1, -1]);
  },
);

test("a service's compressed request is served", async () => {
  const on = await connected();
  const headers = { ...(await tokenOf("", ["internal"])), ...GZIP };

  const call = on.request({
    ":method": "POST",
    ":path": ECHO,
    "content-type": "application/grpc",
    ...headers,
  });
  call.end(packed(gzipSync(textOf(200_000))));
  call.resume();

  await expect.poll(() => requests).toEqual([200_000]);
});

test("what is not compressed as its call says ends the call", async () => {
  const on = await connected();
  const headers = { ...(await tokenOf("acme")), ...GZIP };

  const call = beginCall(on, ECHO, packed(Buffer.from("not gzip")), headers);

  await expect.poll(() => call.status).toBe(INTERNAL);
});
