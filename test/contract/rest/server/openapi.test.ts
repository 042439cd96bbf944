import { afterAll, beforeAll, expect, test } from "vitest";
import { type AnswerName, answers } from "../../../../src/api/rest/requests/answers.ts";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, restClientWith, type Send } from "../client.ts";

let world: World;
let api: TestApi;
let send: Send;

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  send = restClientWith(api.restAddress, {});
});
afterAll(() => world.close());

test("the OpenAPI document is made of the schemas that check requests, and needs no token", async () => {
  const { status, body } = await send("GET", "/v1/openapi.json");

  expect(status).toBe(200);
  const { openapi, paths, components } = body as Document;
  expect(openapi).toBe("3.1.0");
  expect(paths["/v1/apps/{app}/machines"]?.["post"]).toMatchObject({
    summary: "Creates a machine and starts it.",
    requestBody: { required: true, content: contentOf("CreateMachineRequest") },
    responses: { 200: { content: contentOf("Machine") }, 409: { content: contentOf("ErrorResponse") } },
  });
  expect(paths["/v1/apps/{app}/machines/{id}/stop"]?.["post"]).toMatchObject({
    requestBody: { required: false },
  });
  expect(paths["/v1/apps/{app}"]?.["delete"]?.responses["202"]).toEqual({ description: "Success." });
  expect(components.schemas).toMatchObject({
    CreateMachineRequest: {
      required: ["config"],
      properties: {
        config: { $ref: "#/components/schemas/MachineConfig" },
        skip_launch: { type: "boolean" },
      },
    },
    MachineConfig: {
      required: ["image"],
      properties: { guest: { properties: { cpus: { type: "integer", format: "int32" } } } },
    },
    MachineEvent: { properties: { timestamp: { type: "integer", format: "int64" } } },
    Machine: {
      properties: { image_ref: {}, events: { items: { $ref: "#/components/schemas/MachineEvent" } } },
    },
  });
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  expect(operations.length).toBeGreaterThan(70);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { operationId, summary, responses } of operations) {
    expect(operationId).toMatch(/^\w+$/);
    expect(summary).toMatch(/^[A-Z].*\.$/);
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(["401", "429", "503", "4XX", "5XX"]));
  }
});

test("it refers to nothing that it does not have", async () => {
  const { body } = await send("GET", "/v1/openapi.json");
  const text = JSON.stringify(body);

  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name = ""]) => name);
  expect(new Set(names)).toEqual(new Set(Object.keys((body as Document).components.schemas)));
  expect(text).not.toContain("x-component");
  // Generators leave out what has an enum of several types, and whatever refers to it.
  const enums = [...text.matchAll(/"enum":(\[[^\]]*\])/g)].map(([, list = ""]) => JSON.parse(list));
  expect(enums.length).toBeGreaterThan(5);
  for (const values of enums) expect(new Set(values.map((value: unknown) => typeof value)).size).toBe(1);
});

test("answers are what it says", async () => {
  const caller = await restClient(api.restAddress);
  const app = { name: "documented" };
  const config = { image: "nginx" };
  const { body: created } = await caller("POST", "/v1/apps", app);
  const { body: machine } = await caller("POST", "/v1/apps/documented/machines", { config, lease_ttl: 60 });
  const { id, nonce = "" } = answers.machine.parse(machine);
  const path = `/v1/apps/documented/machines/${id}`;
  const told: readonly (readonly [AnswerName, string, string, unknown?])[] = [
    ["apps", "GET", "/v1/apps?org_slug=personal"],
    ["app", "GET", "/v1/apps/documented"],
    ["machines", "GET", "/v1/apps/documented/machines?include_leases=true"],
    ["machine", "GET", `${path}?include_leases=true`],
    ["orgMachines", "GET", "/v1/orgs/personal/machines"],
    ["events", "GET", `${path}/events`],
    ["versions", "GET", `${path}/versions`],
    ["waited", "GET", `${path}/wait?state=started`],
    ["started", "POST", `${path}/start`],
    ["lease", "GET", `${path}/lease`],
    ["lease", "POST", `${path}/lease`],
    ["metadata", "GET", `${path}/metadata`],
    ["regions", "GET", "/v1/platform/regions"],
    ["placements", "POST", "/v1/platform/placements", { org_slug: "personal" }],
    ["tokens", "GET", "/v1/tokens/current"],
    ["acquired", "POST", "/v1/acquire", { steps: [{ launch: { app: "documented", config } }] }],
    ["ok", "POST", `${path}/stop`],
    ["released", "DELETE", `${path}/lease`],
    ["error", "GET", `${path}/lease`],
  ];

  answers.app.parse(created);
  for (const [name, method, at, given] of told) {
    const { body } = await caller(method, at, given, { "fly-machine-lease-nonce": nonce });
    const { error } = answers[name].safeParse(body);
    expect({ name, error, body }).toMatchObject({ name, error: undefined });
  }
});

test("the page to read it has every route, no script, and a policy that allows it nothing but its style", async () => {
  const { paths } = (await send("GET", "/v1/openapi.json")).body as Document;

  const response = await fetch(`http://${api.restAddress}/v1/docs`);
  const page = await response.text();

  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'sha256-/);
  expect(page).not.toMatch(/<script|https?:\/\/|javascript:/i);
  for (const path of Object.keys(paths)) expect(page).toContain(`<code>${path}</code>`);
});

function contentOf(name: string) {
  return { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } };
}
