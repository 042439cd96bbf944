import { afterAll, beforeAll, expect, test } from "vitest";
import { token } from "../../api/clients.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClientWith, type Send } from "../client.ts";

let world: World;
let api: TestApi;
let others: Send;
let routes: readonly (readonly [method: string, path: string])[];

/** Routes that answer whoever has a token, whatever its scopes: they tell that they are not built. */
let later: ReadonlySet<string>;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
  others = await as("acme", ["machines:read", "machines:write"]);
  const { body } = await restClientWith(api.restAddress, {})("GET", "/v1/openapi.json");
  const { paths } = body as { paths: Record<string, Record<string, { responses: Record<string, unknown> }>> };
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => ({
      method: method.toUpperCase(),
      path,
      responses,
    })),
  );
  routes = all.map(({ method, path }) => [method, path]);
  later = new Set(
    all
      .filter(({ responses }) => Object.keys(responses).every((status) => !/^[123]/.test(status)))
      .map(({ method, path }) => `${method} ${path}`),
  );
});
afterAll(() => world.close());

async function as(org: string, scopes: Parameters<typeof token>[1]): Promise<Send> {
  return restClientWith(api.restAddress, { authorization: `Bearer ${await token(org, scopes)}` });
}

/** A path with a machine of somebody in it. */
function concrete(path: string, id: string): string {
  return path
    .replace("{app}", "web")
    .replace("{id}", id)
    .replace("{org}", "personal")
    .replace("{hostname}", "www.example.com")
    .replace(/\{\w+\}/g, "x");
}

test("no route answers who has no token", async () => {
  const stranger = restClientWith(api.restAddress, {});
  expect(routes.length).toBeGreaterThan(70);

  for (const [method, path] of routes) {
    const { status } = await stranger(method, concrete(path, "00001aaaaaaaaa"));
    expect([method, path, status]).toEqual([method, path, 401]);
  }
});

test("no route answers who has a token without scopes; those not built yet say so", async () => {
  const without = await as("personal", []);

  for (const [method, path] of routes) {
    const { status } = await without(method, concrete(path, "00001aaaaaaaaa"));
    expect([method, path, status]).toEqual([method, path, later.has(`${method} ${path}`) ? 501 : 403]);
  }
});

test("what changes something is refused to who may only read", async () => {
  const reader = await as("personal", ["machines:read"]);
  const id = await create();
  const changes = routes.filter(
    ([method, path]) =>
      method !== "GET" && !later.has(`${method} ${path}`) && path !== "/v1/platform/placements",
  );
  expect(changes.length).toBeGreaterThan(18);

  for (const [method, path] of changes) {
    const { status } = await reader(method, concrete(path, id));
    expect([method, path, status]).toEqual([method, path, 403]);
  }
});

test("machines, apps and organisations of somebody else are not there, on any route", async () => {
  const id = await create();
  const named = routes.filter(
    ([method, path]) =>
      /\{(?:app|org)\}/.test(path) && !later.has(`${method} ${path}`) && !path.endsWith("/exec/stream"),
  );
  expect(named.length).toBeGreaterThan(25);

  for (const [method, path] of named) {
    const body = method === "POST" || method === "PUT" || method === "PATCH" ? bodyOf(path) : undefined;
    const { status } = await others(method, concrete(path, id), body, { "fly-machine-lease-nonce": "ab" });
    expect([method, path, status]).toEqual([method, path, 404]);
  }
  expect((await (await as("personal", ["machines:read"]))("GET", `/v1/apps/web/machines/${id}`)).status).toBe(
    200,
  );
});

async function create(): Promise<string> {
  const { machine } = await api.user.create({ skipLaunch: true });
  return machine?.id ?? "";
}

/** A body that is valid on each route that takes one. */
function bodyOf(path: string): object {
  const config = { image: "nginx" };
  return path.endsWith("/machines") || path.endsWith("{id}")
    ? { config }
    : {
        ...{ signal: "SIGTERM", command: ["true"], value: "x", metadata: { a: "b" } },
        hostname: "www.example.com",
      };
}
