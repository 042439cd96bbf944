import { createServer, get, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { PassOn } from "./pass-on.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

test("what one organisation has under way leaves others connections to the api", async () => {
  const owed: ServerResponse[] = [];
  const api = await listen(createServer((_request, response) => owed.push(response)));
  const passOn = new PassOn([`127.0.0.1:${api}`]);
  const port = await listen(
    createServer((request, response) => {
      passOn.pass(request, response, request.url ?? "/", "token").catch(() => response.destroy());
    }),
  );
  const ofOne = 64;

  for (let i = 0; i <= ofOne; i++) get({ port, host: "127.0.0.1", path: `/${i}` }).on("error", () => {});

  await expect.poll(() => owed.length).toBe(ofOne + 1);
  passOn.close();
});
