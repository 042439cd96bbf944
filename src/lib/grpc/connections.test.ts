import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EchoClient, echo, failure } from "../../../test/support/net/echo.ts";
import { systemClock } from "../runtime/clock.ts";
import { call } from "./client.ts";
import { Connections } from "./connections.ts";
import { unary } from "./server/rpc.ts";

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
