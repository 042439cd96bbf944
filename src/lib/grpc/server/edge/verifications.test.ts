import { createPrivateKey } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { addEcho, EchoClient } from "../../../../../test/support/net/echo.ts";
import { framed } from "../../../../../test/support/net/flood.ts";
import { beginCall, openSession } from "../../../../../test/support/net/raw-call.ts";
import { mintToken, TokenVerifier } from "../../../auth/auth.ts";
import { fixedPublicKeys, generateKeyPair } from "../../../auth/keys.ts";
import { Stack } from "../../../runtime/lifecycle.ts";
import { createLogger } from "../../../runtime/log.ts";
import { call, connect } from "../../client.ts";
import { unary } from "../rpc.ts";
import { createServer, serve } from "../serve.ts";

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
  addEcho(server, { one: unary(({ text }) => ({ text })) });
  const close = await serve(server, "127.0.0.1:0", 100);
  stack.add("server", close);
  const address = `127.0.0.1:${close.port}`;
  const grant = { subject: "somebody", org: "acme", scopes: ["machines:read"] } as const;
  const unknown = await mintToken({ id: 2, key: createPrivateKey(keys.privateKey) }, grant, 3_600);
  const known = await mintToken(keys.privateKey, grant, 3_600);
  const client = connect(EchoClient, address, { token: () => known, ownConnection: true });
  stack.add("client", () => client.close());
  const on = openSession(stack, address);
  for (let i = 0; i < 30; i++)
    beginCall(on, "/test.v1.Echo/One", framed(Buffer.alloc(0)), { authorization: `Bearer ${unknown}` });
  await expect.poll(() => looking.length).toBe(8);

  const answer = call(client, client.one, { text: "hi" }, { timeoutMs: 15_000 });
  const pace = setInterval(() => looking.at(released++)?.(), 20);
  let released = 0;
  stack.add("pace", () => clearInterval(pace));

  expect(await answer).toEqual({ text: "hi" });
  expect(looking.length).toBeLessThan(30);
});
