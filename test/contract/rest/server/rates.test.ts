import { afterAll, beforeAll, expect, test } from "vitest";
import { DEFAULT_RATES } from "../../../../src/api/shares/rates.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, type Send } from "../client.ts";

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

test("who calls too often is told when to come back", async () => {
  const strict = await world.api({ rates: { ...DEFAULT_RATES, read: { perSecond: 0.01, burst: 1 } } });
  const often = await restClient(strict.restAddress);

  const answers = [await often("GET", "/v1/apps/web"), await often("GET", "/v1/apps/web")];

  expect(answers.map(({ status }) => status)).toEqual([200, 429]);
  expect(answers[1]?.body).toMatchObject({ error: "resource_exhausted: rate limit exceeded" });
  expect(Number(answers[1]?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
});

test("a list that goes beyond the rate goes on when it may, instead of breaking off", async () => {
  await send("POST", "/v1/apps", { name: "large" });
  await send("POST", "/v1/apps/large/machines", { config: { image: "nginx" }, skip_launch: true });
  await world.sql(`insert into machines (create_id, id, org, app, name, region, memory_mb, state, committed, snapshot)
    select gen_random_uuid(), n.id, org, app, 'copy-' || n.id, region, memory_mb, 'destroyed', true,
           snapshot || jsonb_build_object('id', n.id, 'state', 'destroyed')
      from machines, (select lpad(to_hex(i), 14, '0') as id from generate_series(1, 600) i) n
     where app = 'large'`);
  const strict = await world.api({ rates: { ...DEFAULT_RATES, read: { perSecond: 500, burst: 5 } } });
  const list = await restClient(strict.restAddress);

  const { status, body } = await list("GET", "/v1/apps/large/machines?include_deleted=true");

  expect(status).toBe(200);
  expect(body).toHaveLength(601);
});
