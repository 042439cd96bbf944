import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fleetCredentials, parseGrant } from "./fleet-credentials.ts";

let dir: string;
let path: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-fleet-"));
  path = join(dir, "config.json");
  const auth = Buffer.from("fleet:p").toString("base64");
  writeFileSync(
    path,
    JSON.stringify({ auths: { "r.example": { auth }, "https://index.docker.io/v1/": { auth } } }),
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const find = (grants: readonly string[], org: string, registry: string, repository: string) =>
  fleetCredentials(path, grants.map(parseGrant))(org, registry, repository);

test.each([
  [[], "acme", "r.example", "team/app", false],
  [["acme=r.example/team"], "acme", "r.example", "team/app", true],
  [["acme=r.example/team"], "acme", "r.example", "team", true],
  [["acme=r.example/team"], "acme", "r.example", "teamwork/app", false],
  [["acme=r.example/team"], "other", "r.example", "team/app", false],
  [["acme=r.example"], "acme", "r.example:5000", "team/app", false],
  [["*=docker.io/library"], "other", "docker.io", "library/nginx", true],
  [["*=index.docker.io"], "other", "docker.io", "library/nginx", true],
  [["x=a.example", "acme=*"], "acme", "r.example", "any/thing", true],
  [["*=*"], "other", "unknown.example", "x", false],
])(
  "%j gives %s the fleet's credentials for %s/%s: %s",
  async (grants, org, registry, repository, expected) => {
    expect((await find(grants, org, registry, repository))?.username).toBe(expected ? "fleet" : undefined);
  },
);

test("without a file there are none", async () => {
  expect(await fleetCredentials(undefined, [parseGrant("*=*")])("acme", "r.example", "x")).toBeUndefined();
});

test.each(["acme", "=r.example", "acme=", "acme=r=s"])("%j is no grant", (raw) => {
  expect(() => parseGrant(raw)).toThrow("must be like acme=registry.example/team");
});
