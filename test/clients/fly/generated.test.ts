/**
 * The client that is generated from Fly's OpenAPI document, as it is published: it takes no answer that
 * differs from the document by a null or a wrong type.
 */
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tool } from "../../../tools/lib/paths.ts";
import { run } from "../../../tools/lib/run.ts";
import { openRestFleet, type RestFleet } from "../../contract/rest/rest-fleet.ts";
import { temporaryFolder } from "../../support/temporary.ts";

/** The client has not followed later versions of `effect`, although it admits them. */
const PACKAGES = { "@distilled.cloud/fly-io": "0.20.1", effect: "4.0.0-beta.66" };
const scratch = temporaryFolder("generated-client");
let rest: RestFleet;

beforeAll(async () => {
  writeFileSync(
    join(scratch.path, "package.json"),
    JSON.stringify({ type: "module", dependencies: PACKAGES }),
  );
  copyFileSync(join(import.meta.dirname, "calls.mjs"), join(scratch.path, "calls.mjs"));
  await run("npm", ["install", "--no-audit", "--no-fund"], { cwd: scratch.path });
  rest = await openRestFleet();
});

afterAll(async () => {
  await rest?.close();
  scratch.remove();
});

test("every answer is decoded", async () => {
  const { url, token, image } = rest;
  const environment = { APP: "generated", IMAGE: image, ORG: "personal", TOKEN: token, URL: url };

  const printed = await run(tool("node"), ["calls.mjs"], {
    cwd: scratch.path,
    env: { PATH: process.env["PATH"] ?? "", ...environment },
  });

  const { "AppsDelete of none": none, ...others } = JSON.parse(printed) as Record<string, string>;
  expect(none).toContain("NotFound");
  expect(others).toEqual(Object.fromEntries(Object.keys(others).map((name) => [name, "decoded"])));
  expect(Object.keys(others)).toHaveLength(33);
});
