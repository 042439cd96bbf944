import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../lib/paths.ts";
import { SPECIFICATIONS } from "./configuration.ts";

const DOCUMENTS = globSync(
  ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "bench/README.md"],
  {
    cwd: ROOT,
  },
);
const SOURCES = globSync(["{src,otel,dev,tools}/**/*.{ts,mjs}", "bin/*"], { cwd: ROOT }).filter(
  (file) => !/^src\/gen\/|\.(test|fixture)\.ts$/.test(file),
);
const documented = new Set(Object.values(SPECIFICATIONS).flatMap((rows) => rows.map(({ name }) => name)));
/** Of the system, the terminal, Docker and npm: not ours to explain. */
const STANDARD = [
  "PATH",
  "HOME",
  "TERM",
  "DOCKER_CONFIG",
  "COLUMNS",
  "npm_execpath",
  "npm_config_regions",
  "npm_config_hosts",
  "npm_config_schedulers",
];
/** Read by OpenTelemetry's packages. */
const READ_BY_SDK = [
  "OTEL_EXPORTER_OTLP_HEADERS",
  "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
  "OTEL_RESOURCE_ATTRIBUTES",
];

test("every documented variable has a reader", () => {
  const code = SOURCES.map(textOf).join("\n");
  const isRead = (name: string) =>
    new RegExp(`\\b(values|settings|config)\\.${name}\\b|env\\["${name}"\\]|variable: "${name}"`).test(code);

  expect([...documented].filter((name) => !isRead(name) && !READ_BY_SDK.includes(name))).toEqual([]);
});

test("every variable that is read is documented", () => {
  const read = SOURCES.flatMap((file) =>
    [...textOf(file).matchAll(/\benv(?:\["(\w+)"\]|\.([A-Z]\w+))/g)].map(
      ([, quoted, plain]) => quoted ?? plain,
    ),
  );
  const unknown = read.filter((name) => name && !documented.has(name) && !STANDARD.includes(name));

  expect([...new Set(unknown)]).toEqual([]);
});

test("services read their environment in one place", () => {
  const readers = SOURCES.filter((file) => file.startsWith("src/") && textOf(file).includes("process.env"));

  expect(readers.sort()).toEqual(["src/cli/main.ts", "src/lib/service/run-service.ts"]);
});

test.each(DOCUMENTS)("%s names only variables that there are", (document) => {
  const prefix =
    /^(API|SCHEDULER|HOSTD|IMAGECACHE|TRACES|WINDHOVER|HOVER|OTEL|TOKEN|REGISTRY|DATABASE|REDIS|LOG|HOSTS|MACHINES)_/;
  const code = SOURCES.map(textOf).join("\n");
  // Reasons of errors look the same, and are texts in the code.
  const isReason = (name: string) => code.includes(`"${name}"`);
  const named = [...textOf(document).matchAll(/`\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)].map(
    ([, name]) => name,
  );
  const wrong = named.filter((name) => name && prefix.test(name) && !documented.has(name) && !isReason(name));

  expect(wrong).toEqual([]);
});

test.each(DOCUMENTS)("%s names only files that there are", (document) => {
  const text = textOf(document);
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target.replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target))
    .map((target) => join(dirname(document), target));
  const paths = [...text.matchAll(/`((?:src|test|docs|bench|dev|tools|guest|otel|proto|bin)\/[^`\s]*)`/g)]
    .map(([, path = ""]) => path.replace(/[:#].*$/, "").replace(/\/$/, ""))
    // Placeholders, and what a benchmark writes.
    .filter((path) => !/<|NNNN|SERVICE|\.\.\.|^bench\/results\//.test(path));
  const missing = [...links, ...paths].filter((path) => globSync(path, { cwd: ROOT }).length === 0);

  expect(missing).toEqual([]);
});

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}
