import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSettings, tokenOf } from "./settings.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "windhover-settings-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("flags win over variables, variables over fleet.json, that over defaults", () => {
  const addresses = { api: "127.0.0.1:1111", traces: "127.0.0.1:2222", registry: 7 };
  writeFileSync(join(dir, "fleet.json"), JSON.stringify({ addresses }));
  const env = { WINDHOVER_DIR: dir, WINDHOVER_TRACES: "http://127.0.0.1:3333/" };

  const settings = readSettings({ api: "10.0.0.1:4444" }, env);

  expect(settings.api).toEqual({ value: "10.0.0.1:4444", from: "--api" });
  expect(settings.traces).toEqual({ value: "127.0.0.1:3333", from: "WINDHOVER_TRACES" });
  expect(settings.registry).toEqual({ value: "127.0.0.1:5000", from: "the default" });
  expect(readSettings({}, { WINDHOVER_DIR: dir }).api).toEqual({
    value: "127.0.0.1:1111",
    from: join(dir, "fleet.json"),
  });
});

test.each(["", "{", "null", "[]", '{"addresses": 5}'])("a fleet.json of %j is as good as none", (content) => {
  writeFileSync(join(dir, "fleet.json"), content);

  expect(readSettings({}, { WINDHOVER_DIR: dir }).api.from).toBe("the default");
});

test("the token is the flag's file, else the variable, else the fleet's file", () => {
  writeFileSync(join(dir, "token"), "from-fleet\n");
  writeFileSync(join(dir, "mine"), " from-file \n");
  const env = { WINDHOVER_DIR: dir };

  expect(tokenOf(readSettings({ tokenFile: join(dir, "mine") }, { ...env, WINDHOVER_TOKEN: "x" }))).toBe(
    "from-file",
  );
  expect(tokenOf(readSettings({}, { ...env, WINDHOVER_TOKEN: " from-variable " }))).toBe("from-variable");
  expect(tokenOf(readSettings({}, env))).toBe("from-fleet");
  expect(tokenOf(readSettings({ tokenFile: join(dir, "none") }, env))).toBeUndefined();
});
