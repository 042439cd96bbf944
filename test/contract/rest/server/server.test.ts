import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, restClientWith, type Send } from "../client.ts";

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
  expect(await send("GET", "/v1/apps/web/machines")).toMatchObject({
    status: 200,
    body: expect.arrayContaining([expect.objectContaining({ id })]),
  });
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

test("the app of a machine is checked also when it is known", async () => {
  const id = await create({ skip_launch: true });
  await send("POST", "/v1/apps", { name: "second" });

  for (let i = 0; i < 2; i++) {
    expect((await send("GET", `/v1/apps/web/machines/${id}`)).status).toBe(200);
    expect((await send("POST", `/v1/apps/second/machines/${id}/start`)).status).toBe(404);
  }
  expect((await send("GET", `/v1/apps/web/machines/${id}`)).body).toMatchObject({ state: "created" });
});

test("a repeat with the same Idempotency-Key gives the same machine, and another body is refused", async () => {
  const key = { "idempotency-key": `any text: "Ü" ${"x".repeat(200)}` };
  const body = { config: { image: "nginx" }, skip_launch: true };

  const answers = await Promise.all([1, 2, 3].map(() => send("POST", "/v1/apps/web/machines", body, key)));
  const other = await send("POST", "/v1/apps/web/machines", { ...body, name: "another" }, key);

  const ids = answers.map((answer) => Object(answer.body)["id"]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(new Set(ids).size).toBe(1);
  expect(other).toMatchObject({ status: 400, body: { reason: "REQUEST_ID_REUSED" } });
});

test("a repeat with the same request_id gives the same machine", async () => {
  const body = { config: { image: "nginx" }, skip_launch: true, request_id: "in the body" };

  const ids = [await create(body), await create(body), await create({ ...body, request_id: "another" })];

  expect(ids[1]).toBe(ids[0]);
  expect(ids[2]).not.toBe(ids[0]);
});

test("what is wrong is named where it is, its region too", async () => {
  const errorOf = async (body: string) => Object((await send("POST", "/v1/apps/web/machines", body)).body);

  const values = await errorOf('{"region": "nowhere", "config": {"image": "nginx", "env": {"1A": ""}}}');
  const types = await errorOf('{"skip_launch": "perhaps", "config": {"schedule": "yearly", "env": []}}');
  const numbers = await errorOf('{"lease_ttl": 1e400, "config": {"image": "nginx", "x": [1e400]}}');
  const deep = await errorOf(`{"config": {"image": "nginx", "x": ${"[".repeat(22)}${"]".repeat(22)}}}`);

  expect(values.error).toMatch(/^invalid_argument: config\.env\[1A\]: .*; region: names nowhere/);
  expect(await errorOf('{"name": 5}')).toMatchObject({
    error: expect.stringMatching(/^invalid_argument: name: must be text; config\.image: is required/),
  });
  expect(types.error).toMatch(
    /^invalid_argument: config\.schedule: .*; skip_launch: .*; config\.image: is required/,
  );
  expect(numbers.error).toMatch(/lease_ttl: .*; config\.x\[0\]: is too large/);
  expect(deep.error).toMatch(/^invalid_argument: config\.x(\[0\]){19}: must be nested at most 20 deep$/);
});

test("two services of one port, and durations as numbers in objects, come back and can be posted", async () => {
  const interval = { "time.Duration": 15_000_000_000 };
  const services = [
    { protocol: "tcp", internal_port: 80, ports: [{ port: 80 }] },
    { protocol: "tcp", internal_port: 80, ports: [{ port: 443 }], checks: [{ type: "tcp", interval }] },
  ];
  const id = await create({ config: { image: "nginx", services }, skip_launch: true });
  const { config } = (await send("GET", `/v1/apps/web/machines/${id}`)).body as { config: object };

  const updated = await send("POST", `/v1/apps/web/machines/${id}`, { config });

  const checks = [{ type: "tcp", interval: "15s" }];
  expect(config).toMatchObject({ services: [services[0], { ...services[1], checks }] });
  expect(updated).toMatchObject({ status: 200, body: { config } });
});

test("a create of an app is repeated with the same Idempotency-Key, and refused as taken without", async () => {
  const key = { "idempotency-key": "one app" };
  const create = (name: string, headers = {}) => send("POST", "/v1/apps", { name }, headers);

  const [first, again] = [await create("once", key), await create("once", key)];

  expect(first).toMatchObject({ status: 201, body: { id: "once" } });
  expect(again).toMatchObject({ status: 201, body: first.body as object });
  expect(await create("twice", key)).toMatchObject({ status: 400, body: { reason: "REQUEST_ID_REUSED" } });
  expect(await create("once")).toMatchObject({ status: 422, body: { status: "name_taken" } });
});

test("an acquire names the wrong values of its configurations beside wrong types, and what is not acted on", async () => {
  const launch = (config: object) => ({ launch: { app: "web", config: { image: "nginx", ...config } } });
  const wrong = await send("POST", "/v1/acquire", {
    steps: [launch({ schedule: 5, files: [{ guest_path: "a" }] }), launch({ guest: { cpus: 99 } }), 7],
  });
  const inert = await send("POST", "/v1/acquire", { steps: [launch({ init: { swap_size_mb: 512 } })] });

  const text = String(Object(wrong.body)["error"]);
  expect(wrong.status).toBe(400);
  for (const field of [
    "steps[0].launch.config.schedule",
    "steps[0].launch.config.files[0].guest_path",
    "steps[1].launch.config.guest.cpus",
    "steps[2]",
  ])
    expect(text).toContain(`${field}: `);
  expect(inert.body).toMatchObject({
    warnings: ["steps[0].launch.config.init.swap_size_mb is not acted on"],
  });
});

test("an acquire of which no step works says what was tried and why not", async () => {
  const steps = [{ start: { machine_id: "00001aaaaaaaaa" } }];

  const { status, headers, body } = await send("POST", "/v1/acquire", { steps });

  expect({ status, body }).toMatchObject({ status: 409, body: { reason: "NO_STEP_WORKED" } });
  expect(headers.get("retry-after")).toBeNull();
  expect(JSON.parse((body as { attempts: string }).attempts)).toMatchObject([
    { step: 0, outcome: "failed", reason: "MACHINE_NOT_FOUND" },
  ]);
});

test("an update keeps name and region, which may come along", async () => {
  const { body: made } = await send("POST", "/v1/apps/web/machines", {
    config: { image: "nginx" },
    name: "fixed",
    skip_launch: true,
  });
  const { id, region } = made as { id: string; region: string };
  const update = { config: { image: "nginx", env: { A: "1" } }, skip_launch: true };

  const same = await send("POST", `/v1/apps/web/machines/${id}`, { ...update, name: "fixed", region });
  const wrong = await send("POST", `/v1/apps/web/machines/${id}`, { ...update, name: "x", region: "y" });

  const several = await send("POST", `/v1/apps/web/machines/${id}`, { ...update, region: `gru,${region}` });

  expect(same).toMatchObject({ status: 200, body: { id, name: "fixed" } });
  expect(several.status).toBe(200);
  expect(wrong).toMatchObject({ status: 400, body: { error: expect.stringMatching(/name: .*region: /) } });
});

test("an app takes along machines that run, unless force is false", async () => {
  await send("POST", "/v1/apps", { name: "busy" });
  await send("POST", "/v1/apps/busy/machines", { config: { image: "nginx" } });
  await send("POST", "/v1/apps", { name: "idle" });
  await send("POST", "/v1/apps/idle/machines", { config: { image: "nginx" }, skip_launch: true });

  for (const [query, body] of [["?force=false", undefined] as const, ["", { force: false }] as const])
    expect(await send("DELETE", `/v1/apps/busy${query}`, body)).toMatchObject({
      status: 412,
      body: { reason: "APP_NOT_EMPTY" },
    });
  expect(await send("DELETE", "/v1/apps/busy")).toMatchObject({ status: 202, body: undefined });
  expect(await send("DELETE", "/v1/apps/idle?force=false")).toMatchObject({ status: 202 });
  expect((await send("GET", "/v1/apps/busy")).status).toBe(404);
});

test("a change that is repeated, as its answer was lost, is not made twice", async () => {
  await send("POST", "/v1/apps", { name: "repeats" });
  const config = { image: "nginx" };
  const { body: made } = await send("POST", "/v1/apps/repeats/machines", { config });
  const { id, instance_id: version } = made as { id: string; instance_id: string };
  const machine = `/v1/apps/repeats/machines/${id}`;
  const twice = async (method: string, path: string, body?: unknown) =>
    [await send(method, path, body), await send(method, path, body)] as const;

  const [updated, again] = await twice("POST", machine, { config, current_version: version });
  const stops = await twice("POST", `${machine}/stop`);
  const starts = await twice("POST", `${machine}/start`);
  const [leased, held] = await twice("POST", `${machine}/lease`);
  await send("DELETE", `${machine}/lease`, undefined, {
    "fly-machine-lease-nonce": Object(leased.body)["nonce"],
  });
  const key = { "idempotency-key": "a deploy" };
  const keyed = [
    await send("POST", `${machine}/lease`, {}, key),
    await send("POST", `${machine}/lease`, { ttl: 60 }, key),
  ];
  const { body: lease } = await send("GET", `${machine}/lease`);
  const nonce = { "fly-machine-lease-nonce": Object(keyed[0]?.body)["nonce"] };
  const destroyed = await send("DELETE", `${machine}?force=true`, undefined, nonce);
  const gone = await twice("DELETE", machine);
  const deleted = await twice("DELETE", "/v1/apps/repeats");

  const { instance_id: present } = updated.body as { instance_id: string };
  expect(again).toMatchObject({
    status: 409,
    body: { reason: "VERSION_MISMATCH", current_version: present },
  });
  expect([...stops, ...starts, destroyed, ...gone].map(({ status }) => status)).toEqual(Array(7).fill(200));
  expect([leased.status, held.status]).toEqual([201, 409]);
  expect(keyed.map(({ status, body }) => [status, Object(body)["nonce"]])).toEqual(
    Array(2).fill([201, Object(lease)["nonce"]]),
  );
  expect(deleted.map(({ status }) => status)).toEqual([202, 404]);
});

test("room is told for a performance-1x unless a size is given, whose wrong fields have their own names", async () => {
  const roomFor = async (compute?: object) => {
    const request = { org_slug: "personal", count: 10_000, ...(compute ? { compute } : {}) };
    return (await send("POST", "/v1/platform/placements", request)).body;
  };

  const performance = { cpu_kind: "performance", cpus: 1, memory_mb: 2_048 };

  expect(await roomFor()).toEqual(await roomFor(performance));
  expect(await roomFor()).not.toEqual(await roomFor({ cpu_kind: "shared", cpus: 1, memory_mb: 256 }));
  expect(await roomFor({ ...performance, memory_mb: 2_000 })).toMatchObject({
    error: expect.stringMatching(/^invalid_argument: compute\.memory_mb: must be/),
  });
  expect(await roomFor({ gpu_kind: "a10" })).toMatchObject({
    error: "unimplemented: compute.gpu_kind: GPUs are not built yet",
  });
});

test("a region that nobody knows has its reason, and the error names those that there are", async () => {
  const request = { config: { image: "nginx" }, region: "mars" };

  expect(await send("POST", "/v1/apps/web/machines", request)).toMatchObject({
    status: 400,
    body: { reason: "REGION_UNKNOWN", error: expect.stringMatching(/region "mars" .* placed in ord/) },
  });
});
