import { expect, test } from "vitest";
import { EchoClient, echo, failure, pending } from "../../../../../test/support/net/echo.ts";
import { issueToken, TokenVerifier } from "../../../auth/auth.ts";
import { generateKeyPair } from "../../../auth/keys.ts";
import type { Revocations } from "../../../auth/revocations.ts";
import type { RpcRule } from "../../../auth/rpc-rules.ts";
import { createLogger } from "../../../runtime/log.ts";
import { openDuplex } from "../../calls/duplex.ts";
import { call, connect } from "../../client.ts";
import { bidiStream, unary } from "../rpc.ts";

createLogger("test", { write: () => {} });

const KEYS = generateKeyPair();
const LIMIT = { timeoutMs: 20_000 };
const CHANGE: RpcRule = {
  action: "machines:exec",
  scopes: ["machines:write"],
  isAudited: true,
  needsGoodStanding: true,
};
const both = "/test.v1.Echo/Both";
const one = "/test.v1.Echo/One";

test.each<[string, (revocations: Revocations, id: string) => void]>([
  ["TOKEN_REVOKED", (revocations, id) => revocations.replace({ version: 1, tokens: [id], orgs: [] })],
  [
    "ORG_BANNED",
    (revocations) =>
      revocations.replace({
        version: 1,
        tokens: [],
        orgs: [{ org: "acme", isSuspended: true, notBeforeMs: 0 }],
      }),
  ],
])("%s ends a session, while a change is finished", async (reason, end) => {
  const verifier = new TokenVerifier(KEYS.publicKey);
  const finish = Promise.withResolvers<void>();
  await using service = await echo(
    {
      one: unary(async () => {
        await finish.promise;
        return { text: "finished" };
      }),
      both: bidiStream(async function* (_, ctx) {
        yield { text: "begun" };
        await pending(ctx.signal);
      }),
    },
    {
      verifier,
      rules: new Map([
        [one, CHANGE],
        [both, { ...CHANGE, isSession: true }],
      ]),
    },
  );
  const grant = { subject: "me", org: "acme", scopes: ["machines:write"] } as const;
  const { token, id } = await issueToken(KEYS.privateKey, grant, 600);
  const client = connect(EchoClient, service.address, { ownConnection: true, token: async () => token });
  const change = call(client, client.one, { text: "" }, LIMIT);
  const session = openDuplex(client, client.both, LIMIT);
  const messages = session.messages[Symbol.asyncIterator]();
  await session.write({ text: "" });
  await messages.next();

  end(verifier.revocations, id);

  expect(await failure(Promise.resolve(messages.next()))).toMatchObject({ reason });
  finish.resolve();
  expect(await change).toEqual({ text: "finished" });
  client.close();
});
