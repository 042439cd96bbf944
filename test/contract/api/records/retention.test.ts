import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { applyRetention, boundRows } from "../../../../src/api/maintenance/retention.ts";
import { type TestApi, World } from "../fixture.ts";

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open(0);
  api = await world.api();
  await world.sql("insert into apps (name, org) values ('web', 'personal')");
  await world.sql(`insert into organizations (slug, name, quota_machines, quota_memory_mb)
    values ('acme', '', 1, 1), ('zulu', '', 1, 1)`);
});
afterAll(() => world.close());
beforeEach(() => world.clear());

test("each machine keeps its newest 100 events, whichever page it is on", async () => {
  await world.sql(`insert into machines (create_id, id, org, app, name, region, memory_mb, state)
    select gen_random_uuid(), '0000' || i, 'personal', 'web', i::text, 'ord', 256, 'created' from generate_series(1, 5) i`);
  await world.sql(`insert into machine_events (machine_id, id, event)
    select m.id, lpad(n::text, 6, '0'), '{}'::jsonb from machines m, generate_series(1, 1300) n where m.id < '00005'
    union all select '00005', lpad(n::text, 6, '0'), '{}' from generate_series(1, 7) n`);

  await applyRetention(api.database, 2);

  const kept =
    "select machine_id as id, count(*)::int as rows, min(id) as oldest from machine_events group by 1 order by 1";
  expect(await world.sql(kept)).toEqual([
    ...["00001", "00002", "00003", "00004"].map((id) => ({ id, rows: 100, oldest: "001201" })),
    { id: "00005", rows: 7, oldest: "000001" },
  ]);
});

test("every organisation is bounded, whichever page it is on", async () => {
  await world.sql(`insert into sagas (id, org, request_id, request_hash, status, state, traceparent, lease_time, update_time)
    select gen_random_uuid(), org, case when i <= 1200 then i::text end, '', 'failed', '{}', '', now(),
           now() - i * interval '1 minute'
      from generate_series(1, 1210) i, unnest(array['personal', 'acme', 'zulu']) org`);

  await boundRows(api.database, 1);

  const kept = `select org, count(*)::int as rows, count(*) filter (where request_id is null)::int as unrepeatable,
                       max(request_id::int) as oldest from sagas group by org order by org`;
  expect(await world.sql(kept)).toEqual(
    ["acme", "personal", "zulu"].map((org) => ({ org, rows: 1_000, unrepeatable: 0, oldest: 1_000 })),
  );
});
