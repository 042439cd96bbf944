import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { machineRoute, routesOf } from "../../../test/support/proxy/route-fixtures.ts";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import type { Routes } from "./routes.ts";
import { RoutesFile } from "./routes-file.ts";

const ROUTES: Routes = { ...routesOf(machineRoute("a"), machineRoute("b")), ports: [[5_432, "web"]] };
let folder: TemporaryFolder;
let path: string;

createLogger("test", { write: () => {} });
beforeEach(() => {
  folder = temporaryFolder("routes");
  path = join(folder.path, "routes.json");
});
afterEach(() => folder.remove());

function load(content: string): Promise<Routes | undefined> {
  writeFileSync(path, content);
  return new RoutesFile(path, () => ROUTES).load();
}

test("what was written is read", async () => {
  const file = new RoutesFile(path, () => ROUTES);
  expect(await file.load()).toBeUndefined();

  await file.flush();

  expect(await file.load()).toEqual(ROUTES);
});

test.each(["", "{", "null", "[]", '{"position":1}', JSON.stringify(ROUTES).slice(0, -20)])(
  "a file that is torn or of something else is as good as none: %s",
  async (content) => {
    expect(await load(content)).toBeUndefined();
  },
);

test("what another version has written counts as far as it can be read, and everything is asked for anew", async () => {
  const [a, b] = ROUTES.machines;
  const { processGroup: _, ...older } = b ?? machineRoute("b");
  const newer = { ...machineRoute("c"), state: "hibernating" };
  const content = { ...ROUTES, machines: [{ ...a, added: 1 }, older, newer, null], more: true };

  const read = await load(JSON.stringify(content));

  expect(read).toMatchObject({ position: "", apps: ROUTES.apps, hosts: ROUTES.hosts, machines: [a] });
});
