import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";
import { RouteWatcher } from "./route-watcher.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;
let other: Clients;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api({ proxyDomains: ["apps.example.net"] });
  await world.sql(
    `insert into organizations (slug, name, quota_machines, quota_memory_mb) values ('other', 'O', 9, 9)`,
  );
  other = await api.as("other", ["machines:read", "machines:write"]);
});
afterAll(async () => {
  other.close();
  await world.close();
});
beforeEach(async () => {
  await world.sql("delete from apps");
  await api.user.createApp("web");
  await other.createApp("theirs");
});

const add = async (hostname: string, app = "web", { apps }: Clients = api.user) =>
  (await call(apps, apps.addHostname, { app, hostname }, LIMIT)).hostname;
const remove = (hostname: string, app = "web", { apps }: Clients = api.user) =>
  call(apps, apps.removeHostname, { app, hostname }, LIMIT);
const list = async (app = "web", { apps }: Clients = api.user) =>
  (await call(apps, apps.listHostnames, { app }, LIMIT)).hostnames.map(({ name }) => name);

describe("host names of an app", () => {
  test("are added in one form, listed after those of the fleet's domains, and removed", async () => {
    const added = await add("WWW.Example.com.");
    const again = await add("www.example.com");
    await add("*.Bücher.example");

    expect(added).toMatchObject({ name: "www.example.com", app: "web" });
    expect(again).toEqual(added);
    const fleet = ["web.localhost", "web.apps.example.net"];
    expect(await list()).toEqual([...fleet, "*.xn--bcher-kva.example", "www.example.com"]);

    await remove("WWW.example.com");
    expect(await list()).toEqual([...fleet, "*.xn--bcher-kva.example"]);
    expect(await faultOf(remove("www.example.com"))).toMatchObject({
      code: "NOT_FOUND",
      reason: "HOSTNAME_NOT_FOUND",
    });
  });

  test("belong to one app of all organisations; who has one is not told", async () => {
    await add("www.example.com", "theirs", other);

    const fault = await faultOf(add("www.example.com"));

    expect(fault).toMatchObject({ code: "ALREADY_EXISTS", reason: "HOSTNAME_TAKEN" });
    expect(JSON.stringify([fault?.message, fault?.facts])).not.toMatch(/theirs|other"/);
    expect(await faultOf(remove("www.example.com"))).toMatchObject({ reason: "HOSTNAME_NOT_FOUND" });
    await remove("www.example.com", "theirs", other);
    expect(await add("www.example.com")).toMatchObject({ app: "web" });
  });

  test("below a wildcard belong to its organisation, whose other apps may have them", async () => {
    await api.user.createApp("jobs");
    await add("*.example.com");

    expect(await faultOf(add("login.example.com", "theirs", other))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "HOSTNAME_TAKEN",
    });
    expect(await add("login.example.com", "jobs")).toMatchObject({ app: "jobs" });
    expect(await add("a.b.example.com", "theirs", other)).toMatchObject({ app: "theirs" });
  });

  test("are taken once by calls at the same time", async () => {
    await api.user.createApp("jobs");

    const all = await Promise.allSettled(
      ["web", "jobs", "web", "jobs"].map((app) => add("www.example.com", app)),
    );

    const apps = all.flatMap((each) => (each.status === "fulfilled" ? [each.value?.app] : []));
    expect(apps.length).toBe(2);
    expect(new Set(apps).size).toBe(1);
  });

  test("are at most 100", async () => {
    await world.sql(
      "insert into app_hostnames (hostname, app) select 'a' || n || '.example.com', 'web' from generate_series(1, 100) n",
    );

    expect(await faultOf(add("late.example.com"))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_HOSTNAMES",
      facts: { app: "web", limit: "100" },
    });
    expect(await add("a1.example.com")).toMatchObject({ name: "a1.example.com" });
  });

  test("are free again when their app is deleted", async () => {
    await add("www.example.com");
    const { apps } = api.user;

    await call(apps, apps.deleteApp, { name: "web", force: false }, LIMIT);

    expect(await add("www.example.com", "theirs", other)).toMatchObject({ app: "theirs" });
  });

  test.each(["web.localhost", "x.apps.example.net", "192.0.2.1", "com", ""])(
    "are not %j",
    async (hostname) => {
      expect(await faultOf(add(hostname))).toMatchObject({
        reason: "INVALID_FIELDS",
        facts: { fields: "hostname" },
      });
    },
  );

  test("are of apps of the caller's organisation", async () => {
    const name = "a.example.com";
    const calls = [() => add(name, "theirs"), () => remove(name, "theirs"), () => list("theirs")];

    for (const refused of calls)
      expect(await faultOf(refused())).toMatchObject({ code: "NOT_FOUND", reason: "APP_NOT_FOUND" });
  });

  test("are told to proxies", async () => {
    const proxy = await new RouteWatcher(api.internal).complete();

    await add("www.example.com");
    await expect.poll(() => proxy.apps.get("web")?.hostnames).toEqual(["www.example.com"]);

    await remove("www.example.com");
    await expect.poll(() => proxy.apps.get("web")?.hostnames).toEqual([]);
    await proxy.close();
  });
});
