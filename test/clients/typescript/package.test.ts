/**
 * The package as a user gets it: packed, installed into projects that have nothing else, and run by
 * the Node of the shell and by the one of this project.
 */
import { execFileSync } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT, tool } from "../../../tools/lib/paths.ts";
import { findProgram } from "../../../tools/lib/programs.ts";
import { run } from "../../../tools/lib/run.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { openWorld, type World } from "../../system/world/world.ts";
import { documentedProgram } from "./documented.ts";
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
      acquired: ["started", "started"],
      watched: expect.arrayContaining(["created", "started", "stopped", "destroyed"]),
      waited: "stopped",
      destroyed: "destroyed",
      failed: [true, "FAILED_PRECONDITION", "INVALID_STATE"],
      attenuated: true,
    });
  });
});

describe("in one project", () => {
  const folder = join(scratch.path, "one");

  beforeAll(() =>
    installInto(folder, tarball, {
      "package.json": '{ "name": "p", "version": "1.0.0", "type": "module" }',
    }),
  );

  describe("a strict compiler takes the types", () => {
    const strict = {
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true },
      ...{
        noPropertyAccessFromIndexSignature: true,
        noImplicitOverride: true,
        target: "ES2022",
        lib: ["ES2022"],
      },
      types: ["node"],
    };

    beforeAll(() => {
      // The same program as either kind of module.
      for (const file of ["strict.mts", "strict.cts"])
        cpSync(join(PROGRAMS, "strict.ts"), join(folder, file));
    });

    test.each([
      ["of ES modules", { module: "Node20" }, "strict.mts"],
      ["of CommonJS", { module: "Node20" }, "strict.cts"],
      ["for a bundler", { module: "ESNext", moduleResolution: "Bundler" }, "strict.mts"],
    ])("%s", async (_kind, modules, file) => {
      const config = { compilerOptions: { ...strict, ...modules }, files: [file] };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));

      const printed = await run(tool("tsc"), ["-p", folder, "--pretty", "false"]);

      expect(printed).toBe("");
    });
  });

  test("the examples of the README run as they stand", async () => {
    const { fleet, app, image } = world;
    const names = { "127.0.0.1:7070": fleet.api, web: app, nginx: image };
    writeFileSync(join(folder, "readme.js"), documentedProgram(names));

    const env = { ...process.env, NODE_OPTIONS: "", WINDHOVER_TOKEN: fleet.token };
    const printed = await run(tool("node"), ["readme.js"], { cwd: folder, env });

    expect(printed).toMatch(/^[0-9a-f]{14} started$/m);
    expect(printed).toMatch(/^0 hello$/m);
    expect(printed).toContain("hello{ exitCode: 0, signal: '' }");
    expect(printed).toMatch(/^NOT_FOUND /m);
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
