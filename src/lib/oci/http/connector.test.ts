import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { registry } from "../../otel/metrics.ts";
import { filteringConnector } from "./connector.ts";
import { HostList } from "./host-list.ts";

let server: Server;
let connections = 0;
let port: number;
beforeAll(async () => {
  server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise((done) => server.close(done)));

/** Connects to `rebind.test`, whose addresses are those of the next answer. */
function connectTo(answers: readonly (readonly LookupAddress[])[]) {
  const rest = [...answers];
  const resolve = (_name: string, _options: object, done: (err: null, found: LookupAddress[]) => void) =>
    done(null, [...(rest.shift() ?? [])]);
  const connect = filteringConnector(new HostList([]), 1_000, resolve as never);
  const to = { hostname: "rebind.test", host: `rebind.test:${port}`, protocol: "http:", port: String(port) };
  const tryOnce = () =>
    new Promise<string>((done) => {
      connect(to, (err, socket) => {
        socket?.destroy();
        done(err ? String((err as { code?: unknown }).code) : "connected");
      });
    });
  return { tryOnce, rest };
}

async function refused(): Promise<number> {
  const metric = await registry.getSingleMetric("windhover_registry_addresses_refused_total")?.get();
  return metric?.values[0]?.value ?? 0;
}

const here: LookupAddress = { address: "127.0.0.1", family: 4 };

test("the address that a name has when it is connected to counts, and is looked up once", async () => {
  const before = connections;
  const refusedBefore = await refused();
  const { tryOnce, rest } = connectTo([[here], [{ address: "::ffff:7f00:1", family: 6 }], [here]]);

  expect([await tryOnce(), await tryOnce()]).toEqual(["ADDRESS_REFUSED", "ADDRESS_REFUSED"]);
  expect(rest).toHaveLength(1);
  expect(connections).toBe(before);
  expect((await refused()) - refusedBefore).toBe(2);
});

test("a host that is allowed by name is connected to wherever it is", async () => {
  const connect = filteringConnector(new HostList([`localhost:${port}`]), 1_000);
  const to = { hostname: "localhost", host: `localhost:${port}`, protocol: "http:", port: String(port) };

  const arrived = once(server, "connection");
  connect(to, (_err, socket) => socket?.destroy());

  await expect(arrived).resolves.toHaveLength(1);
});
