import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { authFile } from "./auth-file.ts";
import { passwordCredentials } from "./credentials.ts";

const encode = (login: string) => Buffer.from(login).toString("base64");
let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-auth-"));
  path = join(dir, "config.json");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("finds the login of a registry, in any of the forms that tools write", async () => {
  const auths = {
    "https://index.docker.io/v1/": { auth: encode("hub:p") },
    "ghcr.io": { auth: encode("gh:a:b") },
    "quay.io": { username: "q", password: "w" },
    "https://old.example": { auth: encode("old:p") },
    "helper.example": {},
  };
  writeFileSync(path, JSON.stringify({ auths, credsStore: "desktop" }));
  const find = authFile(path);

  expect(await find("docker.io", "library/nginx")).toEqual(passwordCredentials("hub", "p"));
  expect(await find("ghcr.io", "o/x")).toEqual(passwordCredentials("gh", "a:b"));
  expect(await find("quay.io", "x")).toEqual(passwordCredentials("q", "w"));
  expect(await find("old.example", "x")).toEqual(passwordCredentials("old", "p"));
  expect(await find("helper.example", "x")).toBeUndefined();
  expect(await find("other.example", "x")).toBeUndefined();
});

test("takes off the zero bytes with which Docker pads, and no others", async () => {
  const inside = `p${"\0".repeat(200_000)}q`;
  writeFileSync(
    path,
    JSON.stringify({
      auths: { "r.io": { auth: encode("r:pw\0\0\0") }, "s.io": { auth: encode(`s:${inside}\0`) } },
    }),
  );
  const find = authFile(path);

  expect(await find("r.io", "x")).toEqual(passwordCredentials("r", "pw"));
  expect(await find("s.io", "x")).toEqual(passwordCredentials("s", inside));
});

test("prefers the longest path that fits", async () => {
  writeFileSync(
    path,
    JSON.stringify({ auths: { "r.io": { auth: encode("r:1") }, "r.io/team": { auth: encode("t:2") } } }),
  );
  const find = authFile(path);

  expect((await find("r.io", "team/app"))?.username).toBe("t");
  expect((await find("r.io", "teamwork/app"))?.username).toBe("r");
});

test("sees a login that was added later", async () => {
  writeFileSync(path, "{}");
  const find = authFile(path);
  expect(await find("r.io", "x")).toBeUndefined();

  writeFileSync(path, JSON.stringify({ auths: { "r.io": { auth: encode("r:1") } } }));

  expect((await find("r.io", "x"))?.username).toBe("r");
});

test.each([undefined, "{", '{"auths": 1}'])("a file that cannot be used is named: %s", async (content) => {
  if (content !== undefined) writeFileSync(path, content);

  await expect(authFile(path)("r.io", "x")).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "REGISTRY_AUTH_FILE_INVALID",
    facts: { path },
  });
});
