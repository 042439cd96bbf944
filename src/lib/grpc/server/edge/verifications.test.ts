import { createPrivateKey } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { addEcho } from "../../../../../test/support/net/echo.ts";
import { framed } from "../../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../../test/support/net/raw-call.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import { fixedPublicKeys, generateKeyPair } from "../../../auth/keys.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { unary } from "../rpc.ts";
import { createServer, serve } from "../serve.ts";

const ECHO = "/test.v1.Echo/One";

createLogger("test", { write: () => {} });

const stack = new Stack();
afterAll(() => stack.close());

test("connections take turns with the tokens that nobody has seen", async () => {
  const keys = generateKeyPair();
  const publicKeys = fixedPublicKeys([keys.publicKey]);
  // A token of an unknown key has the service look for it, which takes until the test lets it go on.
  const looking: (() => void)[] = [];
  const refresh = () => new Promise<void>((resolve) => looking.push(resolve));
  const verifier = new TokenVerifier({ get: (id) => publicKeys.get(id), refresh });
  const server = createServer({ verifier });
  const heard: string[] = [];
  addEcho(server, {
    one: unary(({ text }) => {
      heard.push(text);
      return { text };
    }),
  });
  const close = await serve(server, "127.0.0.1:0", 100);
  stack.add("server", close);
  const address = `127.0.0.1:${close.port}`;
  const grant = { subject: "somebody", org: "acme", scopes: ["machines:read"] } as const;
  const unknown = await mintToken({ id: 2, key: createPrivateKey(keys.privateKey) }, grant, 3_600);
  const known = await mintToken(keys.privateKey, grant, 3_600);
  const [on, other] = [openSession(stack, address), openSession(stack, address)];
  for (let i = 0; i < 30; i++)
    beginCall(on, ECHO, framed(Buffer.alloc(0)), { authorization: `Bearer ${unknown}` });
  await expect.poll(() => looking.length).toBe(8);

  const call = other.request({
    ...{ ":method": "POST", ":path": ECHO, "content-type": "application/grpc" },
    authorization: `Bearer ${known}`,
  });
  call.resume().end(framed(Buffer.from(JSON.stringify({ text: "hi" }))));
  // Once the service has answered this, it has the call.
  await new Promise<void>((resolve) => void other.ping(() => resolve()));
  for (const goOn of looking.slice(0, 3)) goOn();

  await expect.poll(() => heard).toEqual(["hi"]);
  expect(looking.length).toBeLessThan(30);
});
