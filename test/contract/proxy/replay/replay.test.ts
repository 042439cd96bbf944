import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, RequestListener } from "node:http";
import { buffer, text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ProxyError } from "../../../../src/proxy/proxy-error.ts";
import { TestProxy, unusedPort } from "../fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

/** Answers with an order; with anything else once it is told why it gets the request again. */
function orders(order: string, more: Record<string, string> = {}): RequestListener {
  return (req, res) => {
    const failed = req.headers["fly-replay-failed"];
    if (failed !== undefined) res.end(`failed ${failed}`);
    else res.writeHead(200, { "fly-replay": order, ...more }).end("never seen");
  };
}

test("a request that an app replays to a region gets there with its body, and learns from where", async () => {
  let seen: IncomingHttpHeaders = {};
  const here = await proxy.machine(orders("region=syd,fra;state=x y"), { id: "here", region: "dev" });
  const there = await proxy.machine(
    async (req, res) => {
      seen = req.headers;
      res.end(`there ${await text(req)}`);
    },
    { id: "there", region: "fra" },
  );
  await proxy.app("app", [here, there]);

  const answer = await proxy.fetch("app.localhost", "/", { method: "POST", body: "with body" });

  expect(answer.body).toBe("there with body");
  expect(answer.headers.has("fly-replay")).toBe(false);
  expect(proxy.router.asks[1]?.forceRegions).toEqual(["syd", "fra"]);
  expect(seen["fly-replay-src"]).toMatch(/^instance=here;region=dev;t=\d{16};state=x y$/);
  await expect.poll(() => proxy.router.held).toBe(0);
});

test("an app of the same organisation may get it, one of another may not", async () => {
  await proxy.app("front", orders("app=back"));
  await proxy.app("back", (req, res) => res.end(`back ${req.headers.host}`));
  await proxy.app("thief", orders("app=victim"));
  await proxy.app("victim", (_req, res) => res.end("secret"), { org: "other" });

  const back = await proxy.fetch("front.localhost");
  const theft = await proxy.fetch("thief.localhost");

  expect(back.body).toBe("back front.localhost");
  expect(theft.status).toBe(404);
  expect(theft.headers.get("x-windhover-error")).toBe("NO_SUCH_APP");
});

test("elsewhere is any machine but the one that says so", async () => {
  const machines = await Promise.all([
    proxy.machine(orders("elsewhere=true"), { id: "a" }),
    proxy.machine(orders("elsewhere=true"), { id: "b" }),
    proxy.machine((_req, res) => res.end("c has it"), { id: "c" }),
  ]);
  await proxy.app("app", machines);

  expect((await proxy.fetch("app.localhost")).body).toBe("c has it");
});

test("an instance gets it, or the request fails; a preferred one gets it if it can", async () => {
  const machines = async (order: string) => [
    await proxy.machine(orders(order), { id: "a" }),
    await proxy.machine((req, res) => res.end(`b ${req.headers["fly-preferred-instance-unavailable"]}`), {
      id: "b",
    }),
  ];
  await proxy.app("force", await machines("instance=b"));
  await proxy.app("missing", await machines("instance=zzz"));
  await proxy.app("prefer", await machines("prefer_instance=b"));

  expect((await proxy.fetch("force.localhost")).body).toBe("b undefined");
  expect((await proxy.fetch("missing.localhost")).headers.get("x-windhover-error")).toBe("NO_MACHINE");
  expect((await proxy.fetch("prefer.localhost")).body).toBe("b undefined");
});

test("a request that goes round in replays ends after ten", async () => {
  let answers = 0;
  await proxy.app("round", (_req, res) => {
    answers += 1;
    res.writeHead(200, { "fly-replay": "region=any;app=round" }).end();
  });

  const answer = await proxy.fetch("round.localhost");

  expect(answer.status).toBe(508);
  expect(answer.headers.get("x-windhover-error")).toBe("LOOP");
  expect(answers).toBe(11);
});

test("a body of more than 1 MB is not replayed, one of less is, also over several hops", async () => {
  const body = randomBytes(1024 * 1024);
  await proxy.app("first", async (req, res) => {
    await buffer(req);
    res.writeHead(200, { "fly-replay": "app=second" }).end();
  });
  await proxy.app("second", async (req, res) => {
    await buffer(req);
    res.writeHead(200, { "fly-replay": "app=third" }).end();
  });
  await proxy.app("third", async (req, res) => res.end(String((await buffer(req)).equals(body))));

  const small = await proxy.fetch("first.localhost", "/", { method: "POST", body });
  const large = await proxy.fetch("first.localhost", "/", {
    method: "POST",
    body: Buffer.concat([body, body]),
  });

  expect(small.body).toBe("true");
  expect(large.status).toBe(413);
  expect(large.body).toContain("cannot be replayed");
});

test("an order may come as JSON, and change path and headers", async () => {
  await proxy.app("front", (_req, res) => {
    res.writeHead(200, { "content-type": "application/vnd.fly.replay+json" });
    res.end(
      JSON.stringify({
        app: "back",
        state: "s",
        transform: {
          path: "/other?x=1",
          delete_headers: ["cookie", "host"],
          set_headers: [
            { name: "X-Set", value: "v" },
            { name: "Fly-Client-IP", value: "6.6.6.6" },
          ],
        },
      }),
    );
  });
  await proxy.app("back", (req, res) => {
    const { cookie, host, "x-set": set, "fly-client-ip": ip } = req.headers;
    res.end(JSON.stringify({ url: req.url, cookie, host, set, ip }));
  });

  const answer = await proxy.fetch("front.localhost", "/a", { headers: { cookie: "secret" } });

  expect(JSON.parse(answer.body)).toEqual({
    url: "/other?x=1",
    host: "front.localhost",
    set: "v",
    ip: "127.0.0.1",
  });
});

test.each([
  ["nothing", ""],
  ["only a state", "state=x"],
  ["a fallback that is none", "region=any;fallback=yes"],
  ["a timeout that is none", "region=any;timeout=soon"],
])("an order with %s is the app's error", async (_, order) => {
  await proxy.app("wrong", orders(order));

  const answer = await proxy.fetch("wrong.localhost");

  expect(answer.status).toBe(502);
  expect(answer.body).toContain("fly-replay that is wrong");
});

test("a replay that fails comes back to the app that wants it back, with the reason", async () => {
  await proxy.app("back", [], { admit: () => Promise.reject(new ProxyError("NO_MACHINE", "none")) });
  await proxy.app("dead", [{ id: "d", port: await unusedPort() }], { service: { wakeTimeoutMs: 50 } });
  await proxy.app("slow", [], {
    admit: (_ask, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  });
  await proxy.app("one", orders("app=back;fallback=force_self"));
  await proxy.app("two", orders("app=dead;fallback=prefer_self"));
  await proxy.app("three", orders("app=slow;timeout=50ms;fallback=prefer_self"));
  await proxy.app("four", orders("app=slow;timeout=50ms"));

  const [one, two, three, four] = await Promise.all(
    ["one", "two", "three", "four"].map((name) => proxy.fetch(`${name}.localhost`)),
  );

  expect(one?.body).toMatch(
    /^failed instance=;app=back;region=;replay_source=m1;reason=no_candidate;elapsed_ms=\d+$/,
  );
  expect(two?.body).toContain("app=dead;region=;replay_source=m2;reason=retries_exhausted");
  expect(three?.body).toContain("reason=timeout");
  expect(four?.headers.get("x-windhover-error")).toBe("WAKE_TIMEOUT");
});

test.each(["0.5ms", "9999999m"])("a timeout of %s is one", async (timeout) => {
  await proxy.app("front", orders(`app=back;timeout=${timeout}`));
  await proxy.app("back", (_req, res) => res.end("back"));

  expect((await proxy.fetch("front.localhost")).body).toBe("back");
});

test("an app that takes TLS only, or no requests, gets none by a replay either", async () => {
  await proxy.app("safe", (_req, res) => res.end("seen"), { service: { handlers: ["tls", "http"] } });
  await proxy.app("bytes", (_req, res) => res.end("seen"), { service: { handlers: [] } });
  await proxy.app("to-safe", orders("app=safe"));
  await proxy.app("to-bytes", orders("app=bytes"));

  await proxy.app("wants-back", orders("app=safe;fallback=force_self"));

  const answers = await Promise.all(
    ["to-safe", "to-bytes", "wants-back"].map((name) => proxy.fetch(`${name}.localhost`)),
  );

  expect(answers.map(({ status }) => status)).toEqual([400, 421, 200]);
  expect(answers[0]?.body).toContain("TLS only");
  expect(answers[2]?.body).toContain("app=safe");
});

test("several headers are one order", async () => {
  const home = await proxy.machine((_req, res) => {
    res.setHeader("fly-replay", ["region=ams", "state=x"]).end();
  });
  const away = await proxy.machine((req, res) => res.end(req.headers["fly-replay-src"]), { region: "ams" });
  await proxy.app("app", [home, away]);

  expect((await proxy.fetch("app.localhost")).body).toMatch(/;state=x$/);
});

test("regions may be quoted, and end with any other", async () => {
  const machines = await Promise.all([
    proxy.machine(orders('region="syd, fra";state="a;b"'), { id: "one" }),
    proxy.machine((req, res) => res.end(`${req.headers["fly-replay-src"]}`), { id: "two", region: "fra" }),
  ]);
  await proxy.app("app", machines);
  await proxy.app("any", [await proxy.machine(orders('region="fra,any";elsewhere=true'), { id: "three" })]);

  expect((await proxy.fetch("app.localhost")).body).toMatch(/;state=a;b$/);
  await proxy.fetch("any.localhost");

  expect(proxy.router.asks.map(({ forceRegions }) => forceRegions)).toEqual([
    ...[undefined, ["syd", "fra"], undefined, undefined],
  ]);
  expect(proxy.router.asks.at(-1)?.preferRegions).toEqual(["fra"]);
});

test("headers of a request choose machines and regions, and a wish that is missed is told", async () => {
  const machines = await Promise.all(
    ["a", "b"].map((id) =>
      proxy.machine((req, res) => res.end(`${id} ${req.headers["fly-preferred-instance-unavailable"]}`), {
        id,
        region: id === "a" ? "dev" : "fra",
      }),
    ),
  );
  await proxy.app("app", machines);
  const get = (headers: Record<string, string>) => proxy.fetch("app.localhost", "/", { headers });

  expect((await get({ "fly-force-instance-id": "b" })).body).toBe("b undefined");
  expect((await get({ "fly-force-instance-id": "zzz" })).status).toBe(503);
  expect((await get({ "fly-prefer-instance-id": "b" })).body).toBe("b undefined");
  expect((await get({ "fly-prefer-instance-id": "zzz" })).body).toBe("a zzz");
  expect((await get({ "fly-force-region": "fra" })).body).toBe("b undefined");
  expect((await get({ "fly-prefer-region": "fra, ams" })).status).toBe(200);
  expect(proxy.router.asks.at(-1)?.preferRegions).toEqual(["fra", "ams"]);
  expect((await get({ "fly-force-instance-id": "../x" })).status).toBe(400);
});

test("memory for replays is given back", async () => {
  const tight = await TestProxy.start({ keepBytes: 400_000 });
  await tight.app("echo", (req, res) => req.pipe(res));

  for (let count = 0; count < 20; count++) {
    const answer = await tight.fetch("echo.localhost", "/", { method: "POST", body: "x".repeat(60_000) });
    expect(answer.body.length).toBe(60_000);
  }
  await tight.app("dead", [
    { id: "dead", port: await unusedPort() },
    await tight.machine(async (req, res) => res.end(await text(req))),
  ]);
  const retried = await tight.fetch("dead.localhost", "/", { method: "POST", body: "y".repeat(60_000) });

  expect(retried.body.length).toBe(60_000);
  await tight.close();
});
