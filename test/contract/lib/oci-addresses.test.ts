import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RegistryClient, type RegistryOptions } from "../../../src/lib/oci/registry.ts";
import { registry as metrics } from "../../../src/lib/otel/metrics.ts";
import { faultOf } from "../../support/fault-of.ts";
import { buildImage, FakeRegistry } from "../../support/oci/index.ts";
import { signal, sourceOf } from "./registry-fixture.ts";

const retry = { attempts: 2, firstMs: 1, maxMs: 5 };
const image = buildImage({ layers: [[{ path: "a" }]] });

let registry: FakeRegistry;
let secret: FakeRegistry;
beforeEach(async () => {
  [registry, secret] = await Promise.all([FakeRegistry.start(), FakeRegistry.start()]);
  registry.add("x", "latest", image);
  secret.add("x", "latest", image);
});
afterEach(async () => {
  await Promise.all([registry[Symbol.asyncDispose](), secret[Symbol.asyncDispose]()]);
});

/** Resolves with a client of its own, which may reach the registry and nothing else on loopback. */
async function resolve(host = registry.host, options: RegistryOptions = {}) {
  const client = new RegistryClient({ retry, allowPrivate: [registry.host], ...options });
  const from = sourceOf(`${host}/x`);
  try {
    return await client.resolve(from, signal);
  } finally {
    client.close();
  }
}

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
const port = (host: string) => host.split(":")[1] ?? "";

describe("an address that is not public", () => {
  test("is not connected to, and is when its host is allowed by name, with or without the port", async () => {
    expect(await faultOf(resolve(secret.host))).toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });
    expect(secret.requests).toEqual([]);

    for (const allowed of [secret.host, "127.0.0.1"])
      expect((await resolve(secret.host, { allowPrivate: [allowed] })).digest).toBe(image.digest);
  });

  test("is not connected to under a name that is not allowed, whatever that leads to", async () => {
    const allowPrivate = [registry.host, "127.0.0.1"];

    expect(await faultOf(resolve(`localhost:${port(secret.host)}`, { allowPrivate }))).toMatchObject({
      reason: "REGISTRY_UNAVAILABLE",
    });
    expect(secret.requests).toEqual([]);
    const named = { allowPrivate: ["localhost"] };
    expect((await resolve(`localhost:${port(secret.host)}`, named)).digest).toBe(image.digest);
  });

  test.each(["[::ffff:127.0.0.1]", "[::1]", "[::]", "0.0.0.0", "0x7f.1", "2130706433", "127.1"])(
    "is not connected to when it is written as %s",
    async (host) => {
      registry.script = ({ kind, url }) =>
        kind === "blob" ? { redirect: `http://${host}:${port(secret.host)}${url}` } : undefined;

      expect(await faultOf(resolve())).toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });
      expect(secret.requests).toEqual([]);
    },
  );

  test("is not reached over a redirect, nor as a token server, and each refusal is counted", async () => {
    const before = await refusedConnections();
    registry.script = ({ kind }) => (kind === "blob" ? { redirect: `${secret.url}{path}` } : undefined);
    expect(await faultOf(resolve())).toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });

    registry.script = () => undefined;
    registry.auth = { kind: "token", realm: `${secret.url}/token` };
    expect(await faultOf(resolve())).toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });

    expect(secret.requests).toEqual([]);
    expect((await refusedConnections()) - before).toBe(2);
  });
});

describe("whatever cannot be reached", () => {
  test("has one error: open and closed ports, allowed or not, names that do not exist, other protocols", async () => {
    const banner = createTcpServer((socket) => socket.resume().end("SSH-2.0-canary-7f3a91\r\n"));
    await new Promise<void>((done) => banner.listen(0, "127.0.0.1", done));
    const closed = await freePort();
    const allowed = { allowPrivate: ["127.0.0.1"] };
    const cases: [string, RegistryOptions][] = [
      [secret.host, {}],
      [`127.0.0.1:${closed}`, {}],
      [`127.0.0.1:${closed}`, allowed],
      [`127.0.0.1:${portOf(banner)}`, {}],
      [`127.0.0.1:${portOf(banner)}`, allowed],
      ["10.255.255.1", {}],
      ["169.254.169.254", {}],
      ["registry.invalid", {}],
    ];

    const faults = await Promise.all(cases.map(([host, options]) => faultOf(resolve(host, options))));

    const shown = faults.map(({ code, reason, message, facts, retryAfterMs }, i) => {
      const host = cases[i]?.[0] ?? "";
      return JSON.parse(
        JSON.stringify({ code, reason, message, facts, retryAfterMs }).replaceAll(host, "HOST"),
      );
    });
    expect(new Set(shown.map((fault) => JSON.stringify(fault))).size).toBe(1);
    expect(shown[0]).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_UNAVAILABLE" });
    for (const { cause } of faults)
      expect(`${String(cause)} ${JSON.stringify(cause)}`).not.toMatch(/canary|63616e/);
    await new Promise((done) => banner.close(done));
  });
});

describe("a redirect", () => {
  test("does not say where credentials go: a 401 after it ends the request", async () => {
    const credentials = { username: "k", password: "canary", identityToken: "", registryToken: "" };
    secret.auth = { kind: "token", user: "k", password: "canary" };
    registry.script = ({ kind }) => (kind === "blob" ? { redirect: `${secret.url}{path}` } : undefined);
    const client = new RegistryClient({ retry, allowPrivate: ["127.0.0.1"] });
    const from = sourceOf(`${registry.host}/x`, credentials);

    expect(await faultOf(client.resolve(from, signal))).toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });

    expect(secret.count("token")).toBe(0);
    client.close();
  });
});

describe("a proxy", () => {
  let proxy: Server;
  let asked: string[];
  beforeEach(async () => {
    asked = [];
    // Knows one name, as proxies look names up themselves.
    proxy = createServer(async (req, res) => {
      asked.push(`${req.method} ${req.url}`);
      const { pathname } = new URL(req.url ?? "");
      const answer = await fetch(`${registry.url}${pathname}`);
      res.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
      res.end(Buffer.from(await answer.arrayBuffer()));
    });
    proxy.on("connect", (req, socket) => {
      asked.push(`CONNECT ${req.url} ${req.headers["proxy-authorization"]}`);
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  });
  afterEach(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  const through = (except = "") => ({
    insecure: ["registry.test"],
    proxies: {
      http: `http://127.0.0.1:${portOf(proxy)}`,
      https: `http://k:p@127.0.0.1:${portOf(proxy)}`,
      except,
    },
  });

  test("is asked for everything of a registry that speaks HTTP", async () => {
    expect((await resolve("registry.test", through())).digest).toBe(image.digest);

    expect(asked[0]).toBe("GET http://registry.test/v2/x/manifests/latest");
    expect(asked).toHaveLength(2);
  });

  test("is asked for a tunnel to one that speaks HTTPS, with its own login", async () => {
    expect(await faultOf(resolve("other.test", through()))).toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });

    const login = Buffer.from("k:p").toString("base64");
    expect(asked[0]).toBe(`CONNECT other.test:443 Basic ${login}`);
  });

  test.each(["registry.test", "*", ".test", "other,registry.test:80"])(
    "is not used for hosts in NO_PROXY: %s",
    async (except) => {
      expect(await faultOf(resolve("registry.test", through(except)))).toMatchObject({
        reason: "REGISTRY_UNAVAILABLE",
      });
      expect(asked).toEqual([]);
    },
  );

  test.each(["10.0.0.0/8", "other.test, 10.255.255.1/32", "fd00::/8,10.255.0.0/16"])(
    "is not used for addresses in ranges of NO_PROXY: %s",
    async (except) => {
      const allowPrivate = ["10.255.255.1", "10.9.9.9"];
      const options = { ...through(except), allowPrivate, retry: { ...retry, attempts: 1 } };
      // Nobody answers there.
      const timeouts = { connectMs: 100, idleMs: 1_000 };

      await faultOf(resolve("10.255.255.1:5000", { ...options, timeouts }));
      expect(asked).toEqual([]);
      await faultOf(resolve("10.255.255.1:5000", { ...options, ...through("192.168.0.0/16") }));
      expect(asked).toHaveLength(1);
    },
  );

  test.each(["localhost.", "x.localhost", "X.LOCALHOST."])(
    "is not asked for %s, which would be the proxy's own loopback",
    async (host) => {
      registry.script = () => ({ redirect: `http://${host}:${port(secret.host)}{path}` });

      expect(await faultOf(resolve(registry.host, through()))).toMatchObject({
        reason: "REGISTRY_UNAVAILABLE",
      });
      expect([asked, secret.requests]).toEqual([[], []]);
    },
  );

  test("is not used for loopback, and is not asked for addresses that are not public", async () => {
    expect((await resolve(registry.host, through())).digest).toBe(image.digest);
    expect(await faultOf(resolve("169.254.169.254", through()))).toMatchObject({
      reason: "REGISTRY_UNAVAILABLE",
    });

    expect(asked).toEqual([]);
  });
});

async function refusedConnections(): Promise<number> {
  const metric = await metrics.getSingleMetric("windhover_registry_addresses_refused_total")?.get();
  return metric?.values[0]?.value ?? 0;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const free = portOf(server);
  await new Promise((done) => server.close(done));
  return free;
}
