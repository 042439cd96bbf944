import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, World } from "../api/fixture.ts";
import { restClientWith, type Send } from "./client.ts";

let world: World;
let api: TestApi;
let send: Send;

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { summary?: string; requestBody?: unknown; responses: object }>
  >;
}

beforeAll(async () => {
  world = await World.open(0);
  api = await world.api();
  send = restClientWith(api.restAddress, {});
});
afterAll(() => world.close());

test("the OpenAPI document is made of the schemas that check requests, and needs no token", async () => {
  const { status, body } = await send("GET", "/v1/openapi.json");

  expect(status).toBe(200);
  const { openapi, paths } = body as Document;
  expect(openapi).toBe("3.1.0");
  expect(paths["/v1/apps/{app}/machines"]?.["post"]).toMatchObject({
    summary: "Creates a machine and starts it.",
    requestBody: {
      content: {
        "application/json": {
          schema: {
            properties: {
              config: { properties: { guest: { properties: { cpus: { type: "integer" } } } } },
              skip_launch: { type: "boolean" },
            },
          },
        },
      },
    },
    responses: { 200: { content: { "application/json": { schema: { properties: { image_ref: {} } } } } } },
  });
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  expect(operations.length).toBeGreaterThan(70);
  for (const operation of operations) expect(operation.summary).toMatch(/^[A-Z].*\.$/);
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
