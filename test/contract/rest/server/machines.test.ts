import { expect, test } from "vitest";
import { create, send, withApi } from "./fixture.ts";

withApi();

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

test("the app of a machine is checked also when it is known", async () => {
  const id = await create({ skip_launch: true });
  await send("POST", "/v1/apps", { name: "second" });

  for (let i = 0; i < 2; i++) {
    expect((await send("GET", `/v1/apps/web/machines/${id}`)).status).toBe(200);
    expect((await send("POST", `/v1/apps/second/machines/${id}/start`)).status).toBe(404);
  }
  expect((await send("GET", `/v1/apps/web/machines/${id}`)).body).toMatchObject({ state: "created" });
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
