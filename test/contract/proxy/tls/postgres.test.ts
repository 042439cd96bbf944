import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary.ts";
import { makeCertificate } from "../certificate.ts";
import { Client, TestProxy, unusedPort } from "../fixture.ts";

let proxy: TestProxy;
let folder: TemporaryFolder;
let port: number;

beforeEach(async () => {
  folder = temporaryFolder("pg");
  proxy = await TestProxy.start();
  port = await unusedPort();
});
afterEach(async () => {
  await proxy.close();
  folder.remove();
});

/** Ends TLS with the certificates that are there. */
async function listenAt(): Promise<void> {
  await proxy.startTls(folder.path);
  await proxy.startPorts().set(new Set([port]));
}

test("Postgres begins TLS after it has asked for it, and without TLS it is not served", async () => {
  const ca = await makeCertificate(folder.path, "db", ["db.localhost"]);
  await listenAt();
  const machine = await proxy.rawMachine((socket) => socket.pipe(socket));
  await proxy.app("db", [machine], { port, service: { handlers: ["pg_tls"] } });
  const client = connect(port, "127.0.0.1");

  client.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]));
  expect(String((await once(client, "data"))[0])).toBe("N");
  client.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  expect(String((await once(client, "data"))[0])).toBe("S");
  const secure = connectTls({ socket: client, servername: "db.localhost", ca });
  await once(secure, "secureConnect");
  secure.write("select 1");
  expect(String((await once(secure, "data"))[0])).toBe("select 1");
  secure.destroy();

  const plain = new Client(port);
  plain.write("\0\0\0\x10\0\x03\0\0");
  await expect.poll(() => plain.isClosed).toBe(true);
});

test.each([
  ["asks for it", Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])],
  ["begins it at once", Buffer.alloc(0)],
])(
  "a client of Postgres that %s and names no host gets the default certificate, where the service allows it",
  async (_, first) => {
    await makeCertificate(folder.path, "default", ["default.localhost"]);
    await listenAt();
    const machine = await proxy.rawMachine((socket) => socket.pipe(socket));
    const app = (versions: ("TLSv1.2" | "TLSv1.3")[]) => ({
      name: "db",
      machines: [machine],
      port,
      service: { handlers: ["pg_tls"] as const, tls: { defaultSelfSigned: true, versions } },
    });
    const begin = async (maxVersion: "TLSv1.2" | "TLSv1.3") => {
      const client = connect(port, "127.0.0.1");
      client.on("error", () => {});
      if (first.length > 0) {
        client.write(first);
        expect(String((await once(client, "data"))[0])).toBe("S");
      }
      return connectTls({
        socket: client,
        rejectUnauthorized: false,
        maxVersion,
        ALPNProtocols: ["postgresql"],
      });
    };

    proxy.router.apps.push(app(["TLSv1.2", "TLSv1.3"]));
    const secure = await begin("TLSv1.3");
    await once(secure, "secureConnect");
    secure.write("select 1");
    expect(String((await once(secure, "data"))[0])).toBe("select 1");
    secure.destroy();

    proxy.router.apps.splice(0, 1, app(["TLSv1.3"]));
    const old = await begin("TLSv1.2");
    old.on("error", () => {});
    await new Promise((resolve) => old.once("close", resolve));
    expect(proxy.router.asks.length).toBe(1);
  },
);
