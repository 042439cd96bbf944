import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { passwordCredentials } from "../../../lib/oci/auth/credentials.ts";
import { dockerConfigPath, readDockerLogins } from "./docker-config.ts";

const encode = (login: string) => Buffer.from(login).toString("base64");
let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-docker-"));
  path = join(dir, "config.json");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function read(config: object | string, registry?: string) {
  writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
  return readDockerLogins(path, registry, { PATH: `${dir}:${process.env["PATH"]}` });
}

/** Installs a credential helper that answers with what it is asked for. */
function addHelper(name: string, script: string): void {
  writeFileSync(join(dir, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

test("logins are read from the file, in every form that tools write", async () => {
  const auths = {
    "https://index.docker.io/v1/": { auth: encode("hub:p") },
    "ghcr.io": { auth: encode("00000000-0000-0000-0000-000000000000:"), identitytoken: "refresh" },
    "r.example/team": { registrytoken: "bearer" },
    "quay.io": { username: "q", password: "w" },
    "empty.example": {},
  };

  const none = passwordCredentials("", "");
  expect([...(await read({ auths }))]).toEqual([
    ["docker.io", passwordCredentials("hub", "p")],
    ["ghcr.io", { ...none, identityToken: "refresh" }],
    ["r.example/team", { ...none, registryToken: "bearer" }],
    ["quay.io", passwordCredentials("q", "w")],
  ]);
  expect([...(await read({ auths }, "quay.io")).keys()]).toEqual(["quay.io"]);
});

test.each<object | string>([
  "null",
  { auths: null },
  { auths: null, credHelpers: null, credsStore: null },
  { credHelpers: null },
])("a configuration without logins has none: %j", async (config) => {
  expect(await read(config)).toEqual(new Map());
});

test("logins are asked of credential helpers, one for all registries or for each", async () => {
  addHelper(
    "store",
    'read key; echo "{\\"ServerURL\\":\\"$key\\",\\"Username\\":\\"u\\",\\"Secret\\":\\"s of $key\\"}"',
  );
  addHelper("tokens", 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"refresh\\"}"');
  addHelper("none", "echo credentials not found in native keychain; exit 1");
  const config = {
    auths: { "https://index.docker.io/v1/": {}, "nothing.example": {} },
    credsStore: "store",
    credHelpers: { "acr.example": "tokens", "nothing.example": "none", "away.example": "not-installed" },
  };

  const found = await read(config);

  expect([...found]).toEqual([
    ["docker.io", passwordCredentials("u", "s of https://index.docker.io/v1/")],
    ["acr.example", { ...passwordCredentials("", ""), identityToken: "refresh" }],
  ]);
});

test.each(["{canary", '{"auths": "canary"}'])(
  "a file that is something else is named, and not repeated: %s",
  async (text) => {
    const refused = read(text);

    await expect(refused).rejects.toMatchObject({ reason: "DOCKER_CONFIG_INVALID", facts: { path } });
    await expect(refused).rejects.not.toThrow("canary");
  },
);

test("the file is where docker looks for it", () => {
  expect(dockerConfigPath({})).toBe(join(homedir(), ".docker/config.json"));
  expect(dockerConfigPath({ DOCKER_CONFIG: "/etc/docker" })).toBe("/etc/docker/config.json");
});
