import { afterEach, beforeEach, expect, test } from "vitest";
import { TestProxy } from "../fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

test("an order that is to be kept is followed at once, for its paths and time", async () => {
  let asked = 0;
  await proxy.app("front", (req, res) => {
    asked += 1;
    if (req.url?.startsWith("/forget")) {
      res.writeHead(200, { "fly-replay": "app=back", "fly-replay-cache": "invalidate" }).end();
      return;
    }
    const cache = {
      "fly-replay-cache": "front.localhost/fn/*",
      "fly-replay-cache-ttl-secs": "60",
      "fly-replay-cache-allow-bypass": "yes",
    };
    res.writeHead(200, { "fly-replay": "app=back", ...cache }).end();
  });
  await proxy.app("back", (req, res) => res.end(`back ${req.headers["fly-replay-cache-status"]}`));
  const get = (path: string, headers = {}) => proxy.fetch("front.localhost", path, { headers });

  const first = await get("/fn/a");
  const second = await get("/fn/b");
  const other = await get("/x");
  expect([first.body, second.body, other.body]).toEqual(["back miss", "back hit", "back miss"]);
  expect(asked).toBe(2);

  expect((await get("/fn/c", { "fly-replay-cache-control": "skip" })).body).toBe("back bypass");
  expect(asked).toBe(3);

  await get("/forget");
  await get("/fn/a");
  expect(asked).toBe(5);
});

test("the app that requests are sent to at once may end that", async () => {
  await proxy.app("front", (req, res) => {
    if (req.headers["fly-replay-src"]) res.end("front again");
    else res.writeHead(200, { "fly-replay": "app=back", "fly-replay-cache": "/*" }).end();
  });
  await proxy.app("back", (req, res) => {
    if (req.url === "/moved")
      res.writeHead(200, { "fly-replay": "app=front", "fly-replay-cache": "invalidate" }).end();
    else res.end(`back ${req.headers["fly-replay-cache-status"]}`);
  });
  const get = async (path: string) => (await proxy.fetch("front.localhost", path)).body;
  expect([await get("/a"), await get("/b")]).toEqual(["back miss", "back hit"]);

  expect(await get("/moved")).toBe("front again");

  expect(await get("/b")).toBe("back miss");
});

test.each([
  ["a state", { "fly-replay": "app=back;state=x", "fly-replay-cache": "/*" }],
  ["another host name", { "fly-replay": "app=back", "fly-replay-cache": "other.localhost/*" }],
  ["another path", { "fly-replay": "app=back", "fly-replay-cache": "/other/*" }],
])("an order with %s is for its request alone", async (_, headers) => {
  await proxy.app("front", (_req, res) => res.writeHead(200, headers).end());
  await proxy.app("back", (req, res) => res.end(`${req.headers["fly-replay-cache-status"]}`));
  const get = async (path: string) => (await proxy.fetch("front.localhost", path)).body;

  expect([await get("/"), await get("/"), await get("/other/a")]).toEqual(["miss", "miss", "miss"]);
});

test("what was remembered and leads nowhere any more is forgotten, and the app asked again", async () => {
  const gone = await proxy.machine((_req, res) => res.end("there"), { id: "gone" });
  await proxy.app("front", (req, res) => {
    if (req.headers["fly-replay-cache-status"] === "miss") res.end("asked again");
    else res.writeHead(200, { "fly-replay": "app=back;instance=gone", "fly-replay-cache": "/" }).end();
  });
  const back = await proxy.app("back", [gone]);
  expect((await proxy.fetch("front.localhost")).body).toBe("there");
  expect((await proxy.fetch("front.localhost")).body).toBe("there");

  proxy.router.apps.splice(proxy.router.apps.indexOf(back), 1, { ...back, machines: [] });

  expect((await proxy.fetch("front.localhost")).body).toBe("asked again");
});
