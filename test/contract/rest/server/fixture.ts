import { afterAll, beforeAll, expect } from "vitest";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, type Send } from "../client.ts";

/** The api of a test file, and requests to it. Both are there when its tests run. */
export let api: TestApi;
export let send: Send;

/** Starts an api with the app `web` for the tests of a file. */
export function withApi(): void {
  let world: World;
  beforeAll(async () => {
    world = await World.open(1);
    api = await world.api();
    send = await restClient(api.restAddress);
    await send("POST", "/v1/apps", { app_name: "web", org_slug: "personal" });
  });
  afterAll(() => world.close());
}

/** Creates a machine and returns its id. */
export async function create(more: object = {}): Promise<string> {
  const { status, body } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    ...more,
  });
  expect({ status, body }).toMatchObject({ status: 200, body: { id: expect.any(String) } });
  return (body as { id: string }).id;
}
