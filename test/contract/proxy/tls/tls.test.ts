import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import https, { createServer as createHttps } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { listen } from "../../../../src/lib/runtime/listen.ts";
import { Certificates } from "../../../../src/proxy/tls/certificates.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../support/temporary.ts";
import { makeCertificate } from "../certificate.ts";
import { TestProxy } from "../fixture.ts";
import type { TestApp } from "../test-router.ts";

let proxy: TestProxy;
let folder: TemporaryFolder;
let ca: string;
let port: number;

beforeEach(async () => {
  folder = temporaryFolder("tls");
  ca = await makeCertificate(folder.path, "apps", ["*.apps.example", "exact.example"]);
  proxy = await TestProxy.start();
  port = await proxy.startTls(folder.path);
});
afterEach(async () => {
  await proxy.close();
  folder.remove();
});

const TLS: Partial<TestApp> = { port: 443, service: { handlers: ["tls", "http"] } };

/** Begins TLS. Rejects as the client sees it. */
async function handshake(servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", servername, ca, ...options });
  await once(socket, "secureConnect");
  return socket;
}

/** Requests a page by https, and by HTTP/1.1. */
async function get(hostname: string): Promise<string> {
  const request = https.get({
    port,
    host: "127.0.0.1",
    servername: hostname,
    ca,
    headers: { host: hostname },
  });
  const [response] = await once(request, "response");
  return await text(response);
}

test("TLS ends here, by the certificate of the host name, and the program learns of it", async () => {
  await proxy.app(
    "app",
    (req, res) => {
      const { "x-forwarded-proto": proto, "x-forwarded-port": at, "x-forwarded-ssl": ssl } = req.headers;
      res.end(`${proto} ${at} ${ssl}`);
    },
    TLS,
  );

  expect(await get("app.apps.example")).toBe("https 443 on");
  const socket = await handshake("app.apps.example");
  expect(socket.getPeerCertificate().subjectaltname).toContain("*.apps.example");
  socket.destroy();
});

test("a host name of TLS counts in any case", async () => {
  await proxy.app("app", (_req, res) => res.end("ok"), { ...TLS, hostname: "exact.example" });
  const socket = await handshake("EXACT.Example", { checkServerIdentity: () => undefined });

  socket.write("GET / HTTP/1.1\r\nHost: exact.example\r\nConnection: close\r\n\r\n");

  expect(await text(socket)).toMatch(/200 OK[\s\S]*ok$/);
});

test("ALPN chooses HTTP/2, unless the service does not offer it", async () => {
  await proxy.app("two", (_req, res) => res.end("hello"), TLS);
  await proxy.app("one", (_req, res) => res.end("hello"), {
    port: 443,
    service: { handlers: ["tls", "http"], tls: { alpn: ["http/1.1"] } },
  });
  const protocol = async (name: string) => {
    const socket = await handshake(name, { ALPNProtocols: ["h2", "http/1.1"] });
    socket.destroy();
    return socket.alpnProtocol;
  };

  expect(await protocol("two.apps.example")).toBe("h2");
  expect(await protocol("one.apps.example")).toBe("http/1.1");
  const session = http2.connect("https://two.apps.example", {
    createConnection: () =>
      connect({ port, host: "127.0.0.1", servername: "two.apps.example", ca, ALPNProtocols: ["h2"] }),
  });
  const stream = session.request({ ":path": "/" });
  expect(await text(stream)).toBe("hello");
  session.destroy();
});

test("a service offers the versions of TLS that it names", async () => {
  await proxy.app("new", (_req, res) => res.end(), {
    port: 443,
    service: { handlers: ["tls", "http"], tls: { versions: ["TLSv1.3"] } },
  });
  await proxy.app("old", (_req, res) => res.end(), {
    port: 443,
    service: { handlers: ["tls", "http"], tls: { versions: ["TLSv1.2"] } },
  });

  await expect(handshake("new.apps.example", { maxVersion: "TLSv1.2" })).rejects.toThrow(/alert|version/i);
  const socket = await handshake("old.apps.example");
  expect(socket.getProtocol()).toBe("TLSv1.2");
  socket.destroy();
});

test("a name without an app or certificate gets an alert, and so do bytes that are not TLS", async () => {
  await proxy.app("bare", (_req, res) => res.end(), { ...TLS, hostname: "bare.example" });

  await expect(handshake("nobody.apps.example")).rejects.toThrow(/unrecognized name/);
  await expect(handshake("bare.example")).rejects.toThrow(/unrecognized name/);
  const client = connectTcp(port, "127.0.0.1");
  client.end("GET / HTTP/1.1\r\n\r\n");
  const [alert] = await once(client, "data");
  expect([...alert]).toEqual([21, 3, 3, 0, 2, 2, 50]);
});

test("the default certificate serves names without one, where the service allows it", async () => {
  const fallback = await makeCertificate(folder.path, "default", ["fallback.example"]);
  await proxy.app("bare", (_req, res) => res.end("fine"), {
    port: 443,
    hostname: "bare.example",
    service: { handlers: ["tls", "http"], tls: { defaultSelfSigned: true } },
  });

  await expect
    .poll(() =>
      handshake("bare.example", { ca: fallback, checkServerIdentity: () => undefined }).then(
        (socket) => {
          const { subjectaltname = "" } = socket.getPeerCertificate();
          socket.destroy();
          return subjectaltname;
        },
        () => "",
      ),
    )
    .toContain("fallback.example");
});

test("certificates are read again when they change, and a broken one leaves the one before", async () => {
  await proxy.app("app", (_req, res) => res.end("fine"), TLS);
  await proxy.app("late", (_req, res) => res.end("late"), { ...TLS, hostname: "late.example" });
  const isServed = (name: string, by: string) =>
    handshake(name, { ca: by }).then(
      (socket) => {
        socket.destroy();
        return true;
      },
      () => false,
    );
  expect(await isServed("late.example", ca)).toBe(false);

  const late = await makeCertificate(folder.path, "late", ["late.example"]);
  await expect.poll(() => isServed("late.example", late)).toBe(true);
  writeFileSync(join(folder.path, "apps.crt"), "broken");
  const renewed = await makeCertificate(folder.path, "late", ["late.example"]);
  await expect.poll(() => isServed("late.example", renewed)).toBe(true);
  expect(await isServed("app.apps.example", ca)).toBe(true);

  rmSync(join(folder.path, "late.crt"));
  await expect.poll(() => isServed("late.example", renewed)).toBe(false);
});

test("a certificate whose key is missing while both are replaced stays, and is told of", async () => {
  const certificates = new Certificates(folder.path);
  try {
    rmSync(join(folder.path, "apps.key"));

    await expect.poll(() => certificates.broken).toBe(1);
    expect(certificates.find("exact.example", false)).toBeDefined();
  } finally {
    await certificates.close();
  }
});

test("of several certificates with a name, the one that expires last is served", async () => {
  await makeCertificate(folder.path, "a-long", ["both.example"], 9);
  await makeCertificate(folder.path, "b-short", ["both.example"], 1);
  await makeCertificate(folder.path, "c-longest", ["both.example"], 20);
  await makeCertificate(folder.path, "d-short", ["both.example"], 1);
  const own = await TestProxy.start();
  try {
    const ownPort = await own.startTls(folder.path);
    await own.app("app", (_req, res) => res.end("fine"), { ...TLS, hostname: "both.example" });

    const socket = await handshake("both.example", { port: ownPort, rejectUnauthorized: false });

    const longest = new X509Certificate(readFileSync(join(folder.path, "c-longest.crt")));
    expect(socket.getPeerX509Certificate()?.fingerprint256).toBe(longest.fingerprint256);
    socket.destroy();
  } finally {
    await own.close();
  }
});

test("tells when the first certificate expires, and how many pairs cannot be read", async () => {
  const certificates = new Certificates(folder.path);
  try {
    expect(certificates.expiryMs).toBe(new X509Certificate(ca).validToDate.getTime());
    expect(certificates.broken).toBe(0);

    writeFileSync(join(folder.path, "torn.key"), "not a key");
    writeFileSync(join(folder.path, "torn.crt"), "not a certificate");
    await expect.poll(() => certificates.broken).toBe(1);
    rmSync(join(folder.path, "torn.crt"));
    await expect.poll(() => certificates.broken).toBe(0);

    rmSync(join(folder.path, "apps.crt"));
    await expect.poll(() => certificates.expiryMs).toBeUndefined();
  } finally {
    await certificates.close();
  }
});

test("a service without the handler tls gets the bytes as they are", async () => {
  const own = temporaryFolder("own");
  const itsCa = await makeCertificate(own.path, "own", ["secret.apps.example"]);
  const server = createHttps({ key: readFileSync(join(own.path, "own.key")), cert: itsCa }, (_req, res) =>
    res.end("end to end"),
  );
  const itsPort = await listen(server, "127.0.0.1:0", "PROGRAM");
  proxy.stack.add("program", () => server.closeAllConnections());
  await proxy.app("secret", [{ id: "s", port: itsPort }], { port: 443, service: { handlers: [] } });

  const request = https.get({
    ...{ port, host: "127.0.0.1", servername: "secret.apps.example", ca: itsCa, agent: false },
    headers: { host: "secret.apps.example", connection: "close" },
  });
  const [response] = await once(request, "response");

  expect(await text(response)).toBe("end to end");
  expect(proxy.router.asks[0]?.kind).toBe("connection");
  await expect.poll(() => proxy.router.held).toBe(0);
  own.remove();
});

test("a service with tls and without http gets what was in TLS", async () => {
  const machine = await proxy.rawMachine((socket) => socket.pipe(socket));
  await proxy.app("echo", [machine], { port: 443, service: { handlers: ["tls"] } });

  const socket = await handshake("echo.apps.example", { ALPNProtocols: ["mine"] });
  socket.write("hello");
  const [bytes] = await once(socket, "data");

  expect(String(bytes)).toBe("hello");
  expect(socket.alpnProtocol).toBe("mine");
  socket.destroy();
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("a connection whose TLS was ended is closed when no machine can take it", async () => {
  await proxy.app("none", [], { port: 443, service: { handlers: ["tls"] } });

  const socket = await handshake("none.apps.example");
  socket.on("error", () => {});
  await once(socket, "close");

  expect(proxy.router.asks.length).toBe(1);
  await proxy.app("app", (_req, res) => res.end("still here"), TLS);
  expect(await get("app.apps.example")).toBe("still here");
});

test("a host whose TLS is not ended here is not served by another's connection", async () => {
  await proxy.app("app", (_req, res) => res.end("mine"), TLS);
  await proxy.app("secret", (_req, res) => res.end("theirs"), { port: 443, service: { handlers: [] } });

  const request = https.get({
    ...{ port, host: "127.0.0.1", servername: "app.apps.example", ca },
    headers: { host: "secret.apps.example" },
  });
  const [response] = await once(request, "response");

  expect(response.statusCode).toBe(421);
  response.resume();
});
