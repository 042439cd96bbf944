/**
 * The package as a user gets it: packed, installed into projects that have nothing else, and run by
 * the Node of the shell and by the one of this project.
 */
import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, tool } from "../../../tools/lib/paths.ts";
import { findProgram } from "../../../tools/lib/programs.ts";
import { run } from "../../../tools/lib/run.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { openWorld, type World } from "../../system/world.ts";
import { installInto, packClient } from "./install.ts";

const PROGRAMS = join(ROOT, "test/clients/typescript/programs");

/** Files of each kind of project. All run `run.mjs` with the package as they load it. */
const PROJECTS = {
  "an ESM project": {
    "package.json": '{ "name": "p", "version": "1.0.0", "type": "module" }',
    "main.js":
      'import * as client from "@windhover/client";\nimport { run } from "./run.mjs";\nawait run(client);\n',
  },
  "a CommonJS project": {
    "package.json": '{ "name": "p", "version": "1.0.0", "type": "commonjs" }',
    "main.js":
      'const client = require("@windhover/client");\nimport("./run.mjs").then(({ run }) => run(client));\n',
  },
  "a plain JavaScript project": {
    "package.json": '{ "name": "p", "version": "1.0.0" }',
    "main.js":
      'Promise.all([import("@windhover/client"), import("./run.mjs")]).then(([client, { run }]) => run(client));\n',
  },
} as const;

const NODES = findNodes();
const scratch = temporaryFolder("client");
let world: World;
let tarball: string;

beforeAll(async () => {
  [world, tarball] = await Promise.all([openWorld(1), packClient(scratch.path)]);
});

afterAll(async () => {
  await world?.close();
  scratch.remove();
});

describe.each(Object.entries(PROJECTS))("%s takes the packed client", (name, files) => {
  const folder = join(scratch.path, name.replaceAll(" ", "-"));

  beforeAll(async () => {
    await installInto(folder, tarball, files);
    cpSync(join(PROGRAMS, "run.mjs"), join(folder, "run.mjs"));
  });

  test.each(NODES)("and runs machines on Node $version", async ({ node }) => {
    const { fleet, app, image } = world;
    const settings = { endpoints: [fleet.api], token: fleet.token, app, image };
    const env = { ...process.env, NODE_OPTIONS: "", SETTINGS: JSON.stringify(settings) };

    const seen = JSON.parse(await run(node, ["main.js"], { cwd: folder, env }));

    expect(seen).toEqual({
      created: "created",
      started: ["created", "started", "1"],
      ran: [0, "hello"],
      streamed: ["streamed", 0],
      leased: ["LEASE_HELD", "started"],
      listed: true,
      stopped: "stopped",
      waited: "stopped",
      destroyed: "destroyed",
      failed: [true, "FAILED_PRECONDITION", "INVALID_STATE"],
      attenuated: true,
    });
  });
});

/** Finds this project's Node, and that of the shell, which is an older one as a rule. */
function findNodes(): readonly { readonly node: string; readonly version: string }[] {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((each) => !each.includes("node_modules"));
  const found = [tool("node"), findProgram("node", path.join(delimiter))].filter(
    (each) => each !== undefined,
  );
  const versions = found.map((node) => ({
    node,
    version: execFileSync(node, ["--version"]).toString().trim(),
  }));
  return versions.filter(({ version }, i) => versions.findIndex((each) => each.version === version) === i);
}
