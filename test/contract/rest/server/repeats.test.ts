import { expect, test } from "vitest";
import { create, send, withApi } from "./fixture.ts";

withApi();

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

test("a create of an app is repeated with the same Idempotency-Key, and refused as taken without", async () => {
  const key = { "idempotency-key": "one app" };
  const create = (name: string, headers = {}) => send("POST", "/v1/apps", { name }, headers);

  const [first, again] = [await create("once", key), await create("once", key)];

  expect(first).toMatchObject({ status: 201, body: { id: "once" } });
  expect(again).toMatchObject({ status: 201, body: first.body as object });
  expect(await create("twice", key)).toMatchObject({ status: 400, body: { reason: "REQUEST_ID_REUSED" } });
  expect(await create("once")).toMatchObject({ status: 422, body: { status: "name_taken" } });
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
