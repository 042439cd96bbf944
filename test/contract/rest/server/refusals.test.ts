import { expect, test } from "vitest";
import { restClientWith } from "../client.ts";
import { api, create, send, withApi } from "./fixture.ts";

withApi();

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
