import { afterAll, beforeAll, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, type Send } from "../client.ts";

let world: World;
let api: TestApi;
let send: Send;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api({ proxyDomains: ["apps.example.net"] });
  send = await restClient(api.restAddress);
  for (const name of ["web", "jobs", "shop"])
    await send("POST", "/v1/apps", { app_name: name, org_slug: "personal" });
});
afterAll(() => world.close());

test("host names are added, listed and removed", async () => {
  const added = await send("POST", "/v1/apps/shop/hostnames", { hostname: "WWW.Example.com" });
  await send("POST", "/v1/apps/shop/hostnames", { hostname: "*.example.com" });
  const listed = await send("GET", "/v1/apps/shop/hostnames");
  const removed = await send("DELETE", `/v1/apps/shop/hostnames/${encodeURIComponent("*.example.com")}`);
  const again = await send("DELETE", "/v1/apps/shop/hostnames/*.example.com");

  expect(added).toMatchObject({
    status: 201,
    body: { hostname: "www.example.com", app: "shop", created_at: expect.stringMatching(/Z$/) },
  });
  expect(listed).toMatchObject({
    status: 200,
    body: {
      hostnames: [
        { hostname: "shop.localhost", app: "shop" },
        { hostname: "shop.apps.example.net", app: "shop" },
        { hostname: "*.example.com" },
        { hostname: "www.example.com" },
      ],
    },
  });
  expect(removed).toMatchObject({ status: 200, body: { ok: true } });
  expect(again).toMatchObject({ status: 404, body: { reason: "HOSTNAME_NOT_FOUND" } });
});

test("host names are refused as clients expect it", async () => {
  await send("POST", "/v1/apps/web/hostnames", { hostname: "a.example.com" });

  expect(await send("POST", "/v1/apps/jobs/hostnames", { hostname: "a.example.com" })).toMatchObject({
    status: 422,
    body: { reason: "HOSTNAME_TAKEN", error: expect.stringMatching(/^already_exists: /) },
  });
  expect(await send("POST", "/v1/apps/web/hostnames", { hostname: "10.0.0.1" })).toMatchObject({
    status: 400,
    body: { reason: "INVALID_FIELDS" },
  });
  expect(await send("POST", "/v1/apps/web/hostnames", {})).toMatchObject({ status: 400 });
  expect(await send("GET", "/v1/apps/none/hostnames")).toMatchObject({
    status: 404,
    body: { error: "Could not find App" },
  });
});

test("a machine shows its checks, and is waited for until it is ready", async () => {
  const { body } = await send("POST", "/v1/apps/web/machines", { config: { image: "nginx" } });
  const { id } = body as { id: string };
  const path = `/v1/apps/web/machines/${id}`;
  const check = { name: "alive", output: "503", updateTime: new Date(1e12), readiness: true };
  world.host(1).change(id, { state: MachineState.STARTED, checks: [{ ...check, status: "critical" }] });

  expect(await send("GET", path)).toMatchObject({
    body: {
      ready: false,
      checks: [{ name: "alive", status: "critical", output: "503", updated_at: "2001-09-09T01:46:40.000Z" }],
    },
  });
  const early = await send("GET", `${path}/wait?state=ready&timeout=1`);
  expect(early).toMatchObject({ status: 408, body: { error: expect.stringContaining("ready") } });
  const waited = send("GET", `${path}/wait?state=ready,stopped&timeout=30`);
  world.host(1).change(id, { ready: true, checks: [{ ...check, status: "passing" }] });
  expect(await waited).toMatchObject({ status: 200, body: { ok: true, state: "started" } });
});
