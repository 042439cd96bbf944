import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fromOsv, judge, namesOf, parseLockfile } from "./advisories.ts";
import { findAnswer, reportOf } from "./audit.ts";

let dir: string;
let registry: Server | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-audit-"));
});
afterEach(() => {
  registry?.closeAllConnections();
  registry?.close();
  registry = undefined;
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

const NOW = new Date("2026-11-29T12:00:00Z");
const LOCKFILE = {
  name: "project",
  version: "1.0.0",
  lockfileVersion: 3,
  packages: {
    "": { name: "project", version: "1.0.0", dependencies: { weak: "1.2.0", sound: "2.0.0" } },
    "node_modules/weak": { version: "1.2.0" },
    "node_modules/sound": { version: "2.0.0" },
    "node_modules/sound/node_modules/@scope/deep": { version: "3.0.0" },
    "node_modules/alias": { name: "real", version: "4.0.0" },
  },
};
const WEAK = {
  id: 7,
  url: "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
  title: "Weak in the knees",
  severity: "high",
  vulnerable_versions: "<1.3.0",
};

function project(): { locked: ReturnType<typeof parseLockfile>; sources: Parameters<typeof findAnswer>[1] } {
  const { name, version, packages } = LOCKFILE;
  writeFileSync(
    join(dir, "package.json"),
    JSON.stringify({ name, version, dependencies: packages[""].dependencies }),
  );
  writeFileSync(join(dir, "package-lock.json"), JSON.stringify(LOCKFILE));
  const locked = parseLockfile(JSON.stringify(LOCKFILE));
  return { locked, sources: { project: dir, keptFile: join(dir, "advisories.json") } };
}

/** Answers as a registry that has the advisories; what it is asked about is added to `asked`. */
async function startRegistry(advisories: object | undefined, asked: unknown[] = []): Promise<void> {
  registry = createServer(async (request, response) => {
    if (request.method !== "POST" || advisories === undefined) {
      response.writeHead(request.method === "POST" ? 405 : 404).end("{}");
      return;
    }
    const body = Buffer.concat(await request.toArray());
    asked.push(
      JSON.parse((request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString()),
    );
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(advisories));
  }).listen(0, "127.0.0.1");
  await once(registry, "listening");
  const address = registry.address();
  const port = typeof address === "object" ? address?.port : 0;
  vi.stubEnv("npm_config_registry", `http://127.0.0.1:${port}/`);
  vi.stubEnv("npm_config_fetch_retries", "0");
  vi.stubEnv("npm_config_cache", join(dir, "cache"));
}

test("a lockfile names all its packages, nested ones and aliases by their own names", () => {
  const linked = { "node_modules/linked": { resolved: "linked", link: true } };
  const lockfile = { ...LOCKFILE, packages: { ...LOCKFILE.packages, ...linked } };

  expect(namesOf(parseLockfile(JSON.stringify(lockfile)))).toEqual([
    "@scope/deep@3.0.0",
    "real@4.0.0",
    "sound@2.0.0",
    "weak@1.2.0",
  ]);
});

test("what the registry knows is reported and kept, and without a registry the kept answer counts", async () => {
  const { locked, sources } = project();
  const asked: unknown[] = [];
  await startRegistry({ weak: [WEAK] }, asked);

  const first = await findAnswer(locked, sources, NOW);
  const report = reportOf(locked, first.answer, first.note, NOW);

  expect(asked).toMatchObject([{ weak: ["1.2.0"] }]);
  expect(report.exitCode).toBe(1);
  expect(report.lines.join("\n")).toMatch(
    /^Source: registry 127\.0\.0\.1:\d+, of 2026-11-29\.\nhigh: weak@1\.2\.0: Weak in the knees \(GHSA-aaaa-bbbb-cccc/,
  );
  registry?.close();
  await startRegistry(undefined);
  const later = new Date(NOW.getTime() + 3 * 86_400_000);
  const second = await findAnswer(locked, sources, later);
  const offline = reportOf(locked, second.answer, second.note, later);
  expect(offline.exitCode).toBe(1);
  expect(offline.lines[0]).toMatch(/^The registry 127\.0\.0\.1:\d+ gives no advisories \(405/);
  expect(offline.lines[1]).toMatch(/of 2026-11-29 \(3 days ago\)/);
});

test("without a registry and a kept answer nothing counts as checked", async () => {
  const { locked, sources } = project();
  await startRegistry(undefined);

  const { answer, note } = await findAnswer(locked, sources, NOW);

  expect(reportOf(locked, answer, note, NOW)).toMatchObject({ exitCode: 2 });
  expect(existsSync(sources.keptFile)).toBe(false);
});

test("packages that came after the answer, and an old answer, are not taken for sound", () => {
  const { locked } = project();
  const answer = { source: "registry r", date: NOW.toISOString(), asked: namesOf(locked), advisories: [] };
  const month = new Date(NOW.getTime() + 31 * 86_400_000);

  expect(reportOf(locked, answer, "", NOW).exitCode).toBe(0);
  expect(reportOf(locked, answer, "", month).exitCode).toBe(2);
  const less = { ...answer, asked: answer.asked.filter((name) => name !== "weak@1.2.0") };
  expect(reportOf(locked, less, "", NOW)).toMatchObject({
    exitCode: 2,
    lines: expect.arrayContaining(["Not checked, as they came later: weak@1.2.0."]),
  });
});

test("a folder of advisories in OSV's format serves as a source", async () => {
  const { locked, sources } = project();
  const osvFolder = join(dir, "osv");
  mkdirSync(join(osvFolder, "2026"), { recursive: true });
  const osv = (id: string, name: string, events: object[], more: object = {}) =>
    writeFileSync(
      join(osvFolder, "2026", `${id}.json`),
      JSON.stringify({
        ...{ id, modified: "2026-11-20T00:00:00Z", summary: id, database_specific: { severity: "HIGH" } },
        affected: [{ package: { ecosystem: "npm", name }, ranges: [{ type: "SEMVER", events }] }],
        ...more,
      }),
    );
  osv("fixed-later", "weak", [{ introduced: "0" }, { fixed: "1.2.1" }]);
  osv("fixed-before", "weak", [{ introduced: "0" }, { fixed: "1.2.0" }]);
  osv("two-parts", "sound", [
    { introduced: "0" },
    { fixed: "1.0.0" },
    { introduced: "1.9.0" },
    { last_affected: "2.0.0" },
  ]);
  osv("withdrawn", "weak", [{ introduced: "0" }], { withdrawn: "2026-11-21T00:00:00Z" });
  osv("another", "unknown", [{ introduced: "0" }]);

  const { answer, note } = await findAnswer(locked, { ...sources, osvFolder }, NOW);

  const found =
    answer && judge(locked, answer).findings.map(({ advisory, version }) => `${advisory.id} ${version}`);
  expect(found?.sort()).toEqual(["fixed-later 1.2.0", "two-parts 2.0.0"]);
  expect(reportOf(locked, answer, note, NOW).lines[0]).toMatch(
    /^Source: 5 advisories in OSV's format, .*2026-11-20/,
  );
});

test.each([
  [[{ fixed: "1.5.0" }, { introduced: "0" }], { "1.4.9": true, "1.5.0": false, "9.0.0": false }],
  [
    [{ introduced: "2.0.0" }, { introduced: "1.0.0" }, { fixed: "2.1.0" }, { fixed: "1.1.0" }],
    { "1.0.5": true, "1.1.0": false, "1.9.0": false, "2.0.0": true, "2.1.0": false },
  ],
  [
    [{ introduced: "1.0.0" }, { fixed: "2.0.0" }, { introduced: "2.0.0" }, { last_affected: "2.0.0" }],
    { "1.5.0": true, "2.0.0": true, "2.0.1": false },
  ],
  [[{ introduced: "1.0" }, { last_affected: "1.2" }], { "1.2.0": true, "0.9.0": false }],
])("events of an advisory count whatever their order: %j", (events, expected) => {
  const affected = [{ package: { ecosystem: "npm", name: "weak" }, ranges: [{ type: "SEMVER", events }] }];
  const { advisories } = fromOsv(JSON.stringify({ id: "x", modified: "2026-01-01T00:00:00Z", affected }));
  const source = { source: "", date: "", asked: [], advisories };

  const found = Object.keys(expected).map((version) => [
    version,
    judge(new Map([["weak", new Set([version])]]), source).findings.length > 0,
  ]);

  expect(Object.fromEntries(found)).toEqual(expected);
});

test("an advisory for another ecosystem says nothing", () => {
  const affected = [{ package: { ecosystem: "PyPI", name: "weak" }, versions: ["1.2.0"] }];

  expect(fromOsv(JSON.stringify({ id: "x", modified: "2026-01-01T00:00:00Z", affected })).advisories).toEqual(
    [],
  );
});
