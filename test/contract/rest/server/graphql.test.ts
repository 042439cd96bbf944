import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApi, World } from "../../api/fixture.ts";
import { restClient, restClientWith, type Send } from "../client.ts";

let world: World;
let api: TestApi;
let send: Send;

beforeAll(async () => {
  world = await World.open(0);
  api = await world.api();
  send = await restClient(api.restAddress);
  await send("POST", "/v1/apps", { app_name: "web" });
});
afterAll(() => world.close());

const query = (text: string, variables: object = {}) => send("POST", "/graphql", { query: text, variables });

test("an app, its organisation and all organisations are told", async () => {
  const app = await query(
    "query($name: String!) { app(name: $name) { name status organization { name slug } ipAddresses { nodes { type region address } } } }",
    { name: "web" },
  );
  const org = await query(
    "query($slug: String!) { organization(slug: $slug) { id slug name type viewerRole } }",
    { slug: "personal" },
  );
  const orgs = await query("{ organizations { nodes { rawSlug name } } }");

  expect(app.body).toMatchObject({
    data: {
      app: { name: "web", status: "pending", organization: { slug: "personal" }, ipAddresses: { nodes: [] } },
    },
  });
  expect(org.body).toMatchObject({
    data: { organization: { id: "personal", slug: "personal", name: "Personal", viewerRole: "member" } },
  });
  expect(orgs.body).toMatchObject({
    data: { organizations: { nodes: [{ rawSlug: "personal", name: "Personal" }] } },
  });
});

test("what is not there, and what is not built, is an error with a code", async () => {
  const missing = await query('{ app(name: "nobody") { name } }');
  const other = await query('{ organization(slug: "others") { name } }');
  const secrets = await query(
    "mutation($input: SetSecretsInput!) { setSecrets(input: $input) { release { id } } }",
    { input: { appId: "web", secrets: [{ key: "A", value: "b" }] } },
  );

  expect(missing.body).toMatchObject({
    data: { app: null },
    errors: [{ message: "Could not find App", extensions: { code: "NOT_FOUND" }, path: ["app"] }],
  });
  expect(other.body).toMatchObject({ errors: [{ extensions: { code: "NOT_FOUND" } }] });
  expect(secrets.body).toMatchObject({ errors: [{ extensions: { code: "NOT_IMPLEMENTED" } }] });
});

test("a query without a valid token is UNAUTHORIZED", async () => {
  const stranger = restClientWith(api.restAddress, {});

  const { status, body } = await stranger("POST", "/graphql", { query: "{ platform { requestRegion } }" });

  expect({ status, body }).toMatchObject({
    status: 200,
    body: { errors: [{ extensions: { code: "UNAUTHORIZED" } }] },
  });
});

const manyViewers = [..."abcdefghijkl"].map((a) => `${a}: viewer { id }`).join(" ");

test.each([
  ["that is not GraphQL", "{ app("],
  ["with a field that is not there", "{ nothing }"],
  ["that is very long", `{ ${"platform { requestRegion } ".repeat(500)} }`],
  ["without a variable that it needs", "query($name: String!) { app(name: $name) { name } }"],
  ["whose fragment has many fields", `query { ...F } fragment F on Query { ${manyViewers} }`],
  ["whose inline fragment has many fields", `{ ... on Query { ... { ${manyViewers} } } }`],
  ["with many fields at the top", `{ ${manyViewers} }`],
])("a query %s is refused", async (_what, text) => {
  expect((await query(text)).body).toMatchObject({ errors: [{ extensions: { code: "BAD_REQUEST" } }] });
});

test("tools may ask for the schema", async () => {
  const { body } = await query("{ __schema { queryType { fields { name } } } }");

  expect(JSON.stringify(body)).toContain('"platform"');
});
