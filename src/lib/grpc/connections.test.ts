import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, createServer as createRelay, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { EchoClient, echo, failure } from "../../../test/support/net/echo.ts";
import { TokenVerifier } from "../auth/auth.ts";
import { generateKeyPair } from "../auth/keys.ts";
import { internalTokens } from "../auth/tokens.ts";
import { systemClock } from "../runtime/clock.ts";
import { addHealth, Health } from "./builtin/health.ts";
import { call } from "./client.ts";
import { Connections } from "./connections.ts";
import { unary } from "./server/rpc.ts";
import { createServer, serve } from "./server/serve.ts";

const soon = { timeoutMs: 60_000 };

test("a server that says that it is up is called at once, although it could not be reached before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "connections-"));
  const address = `unix:${folder}/s`;
  const connections = new Connections(EchoClient, () => "", systemClock, true);
  try {
    const early = connections.at(address);
    expect(await failure(call(early, early.one, { text: "" }, soon))).toMatchObject({ code: "UNAVAILABLE" });
    expect(connections.stateOf(address)).toBe("down");
    await using _ = await echo({ one: unary((req) => req) }, { address });

    connections.reconnect(address);

    const client = connections.at(address);
    expect(await call(client, client.one, { text: "x" }, soon)).toEqual({ text: "x" });
    connections.reconnect(address);
    expect(connections.at(address)).toBe(client);
  } finally {
    connections.close();
    rmSync(folder, { recursive: true });
  }
});

test("a connection that is kept shows its token before anybody calls, and again when it was lost", async () => {
  const keys = generateKeyPair();
  const verifier = new TokenVerifier(keys.publicKey);
  const verified = vi.spyOn(verifier, "verify");
  const sockets: Socket[] = [];
  const server = createServer({ verifier });
  addHealth(server, new Health([]));
  const close = await serve(server, "127.0.0.1:0", 100);
  const relay = createRelay((client) => {
    sockets.push(client.pipe(connectTcp(close.port, "127.0.0.1")).pipe(client));
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  const token = vi.fn(internalTokens(keys.privateKey, "api"));
  const connections = new Connections(EchoClient, token, systemClock, true);
  const address = `127.0.0.1:${(relay.address() as AddressInfo).port}`;
  const shown = () => {
    connections.keepConnected(new Set([address]));
    return token.mock.calls.length;
  };
  try {
    await expect.poll(shown).toBe(1);
    await expect.poll(() => verified.mock.settledResults).toMatchObject([{ type: "fulfilled" }]);

    for (const socket of sockets) socket.destroy();

    await expect.poll(shown).toBe(2);
  } finally {
    connections.close();
    relay.close();
    await close();
  }
});

test("a call to an address that is not kept yet is not cut off", async () => {
  const folder = mkdtempSync(join(tmpdir(), "connections-"));
  const address = `unix:${folder}/s`;
  let nowMs = 0;
  const connections = new Connections(
    EchoClient,
    () => "",
    { ...systemClock, monotonicMs: () => nowMs },
    true,
  );
  try {
    await using _ = await echo({ one: unary((req) => req) }, { address });
    const client = connections.at(address);
    const answer = call(client, client.one, { text: "x" }, soon);

    connections.keepConnected(new Set());
    connections.retain(new Set());

    expect(await answer).toEqual({ text: "x" });
    expect(connections.at(address)).toBe(client);
    nowMs = 60_001;
    connections.keepConnected(new Set());
    expect(connections.at(address)).not.toBe(client);
  } finally {
    connections.close();
    rmSync(folder, { recursive: true });
  }
});
