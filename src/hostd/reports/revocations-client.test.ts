import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../test/support/temporary.ts";
import { RevocationsServiceService } from "../../gen/windhover/admin/v1/revocations.ts";
import { readRevocations } from "../../lib/auth/revocation-file.ts";
import { Revocations } from "../../lib/auth/revocations.ts";
import { serverStream } from "../../lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../lib/grpc/server/serve.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import { followRevocationsOfApis } from "./revocations-client.ts";

createLogger("test", { write: () => {} });

let folder: ReturnType<typeof temporaryFolder>;
let abort: AbortController;
let closing: (() => Promise<void>)[];

beforeEach(() => {
  folder = temporaryFolder("revocations");
  abort = new AbortController();
  closing = [];
});
afterEach(async () => {
  abort.abort();
  for (const close of closing) await close();
  folder.remove();
});

/** An api that tells one list and then nothing more. */
async function api(version: bigint, token: string): Promise<string> {
  const server = createServer();
  server.addService(RevocationsServiceService, {
    watchRevocations: serverStream(async function* (_req: unknown, ctx) {
      yield { version, tokens: [token], orgs: [], more: false };
      await delay(2 ** 30, undefined, { signal: ctx.signal });
    }),
  });
  const running = await serve(server, "127.0.0.1:0", 0);
  closing.push(running);
  return `127.0.0.1:${running.port}`;
}

test("a host takes the newest list of all apis, also when the first one has an old one or is away", async () => {
  const apis = ["127.0.0.1:1", await api(5n, "old"), await api(9n, "new"), await api(7n, "middle")];
  const revocations = new Revocations();
  const path = join(folder.path, "revocations.json");

  const following = followRevocationsOfApis({
    ...{ apis, revocations, path, signal: abort.signal },
    token: () => "",
  });

  await expect.poll(() => revocations.list.tokens).toEqual(["new"]);
  const kept = () => {
    const read = new Revocations();
    readRevocations(path, read);
    return read.list.tokens;
  };
  await expect.poll(kept).toEqual(["new"]);
  abort.abort();
  await following.catch(() => {});
});
