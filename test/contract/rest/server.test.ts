import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, World } from "../api/fixture.ts";
import { restClient, restClientWith, type Send } from "./client.ts";

let world: World;
let api: TestApi;
let send: Send;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  send = await restClient(api.restAddress);
  await send("POST", "/v1/apps", { app_name: "web", org_slug: "personal" });
});
afterAll(() => world.close());

async function create(more: object = {}): Promise<string> {
  const { status, body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    ...more,
  });
  expect({ status, body }).toMatchObject({ status: 200, body: { id: expect.any(String) } });
  return (body as { id: string }).id;
}

test("a machine is created, started, stopped, waited for, listed and destroyed", async () => {
  const id = await create({ skip_launch: true });

  expect(await send("GET", `/v1/apps/web/machines/${id}`)).toMatchObject({
    status: 200,
    body: { id, state: "created" },
  });
  expect(await send("POST", `/v1/apps/web/machines/${id}/start`)).toMatchObject({
    status: 200,
    body: { previous_state: "created" },
  });
  expect(await send("GET", `/v1/apps/web/machines/${id}/wait?state=started&timeout=5`)).toMatchObject({
    status: 200,
    body: { ok: true, state: "started" },
  });
  expect(await send("DELETE", `/v1/apps/web/machines/${id}`)).toMatchObject({ status: 412 });
  expect(await send("POST", `/v1/apps/web/machines/${id}/stop`, [])).toMatchObject({
    status: 200,
    body: { ok: true },
  });
  expect(await send("GET", "/v1/apps/web/machines")).toMatchObject({ status: 200, body: [{ id }] });
  expect(await send("DELETE", `/v1/apps/web/machines/${id}?force=true`)).toMatchObject({
    status: 200,
    body: { ok: true },
  });
});

test("what is not there is told apart", async () => {
  const id = await create({ skip_launch: true });
  await send("POST", "/v1/apps", { name: "other" });

  expect(await send("GET", "/v1/apps/nobody")).toMatchObject({
    status: 404,
    body: { error: "Could not find App" },
  });
  expect(await send("GET", `/v1/apps/nobody/machines/${id}`)).toMatchObject({
    status: 404,
    body: { error: "Could not find App" },
  });
  for (const path of [
    `/v1/apps/other/machines/${id}`,
    "/v1/apps/web/machines/00001aaaaaaaaa",
    "/v1/apps/web/machines/x",
  ])
    expect(await send("GET", path)).toMatchObject({ status: 404, body: { error: "machine not found" } });
  expect(await send("GET", "/v1/nothing")).toMatchObject({
    status: 404,
    body: { reason: "ROUTE_NOT_FOUND" },
  });
  const wrong = await send("PATCH", "/v1/apps");
  expect(wrong).toMatchObject({ status: 405 });
  expect(wrong.headers.get("allow")).toBe("GET, HEAD, OPTIONS, POST");
});

test.each(["", "nonsense", "Bearer nonsense", "FlyV1 fm2_nonsense", "Basic YTpi"])(
  "the authorization %j is refused with the text that clients know",
  async (authorization) => {
    const stranger = restClientWith(api.restAddress, { authorization });

    const { status, body, headers } = await stranger("GET", "/v1/apps/web");

    expect({ status, body }).toMatchObject({
      status: 401,
      body: { error: "Authenticate: token validation error", status: "unauthenticated" },
    });
    expect(headers.get("fly-request-id")).toMatch(/^[0-9A-Z]{26}-/);
  },
);
