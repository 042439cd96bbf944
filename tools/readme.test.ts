import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./lib/paths.ts";

const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const documented = new Set([...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm)].map((match) => match[1]));

test.each(services())("every variable of %s is in the README's table", (_service, names) => {
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !documented.has(name))).toEqual([]);
});

test("the README's table has no variable of a service that the service does not read", () => {
  const read = new Set(services().flatMap(([, names]) => names));
  const own = [...documented].filter((name) => /^(API|SCHEDULER|HOSTD|IMAGECACHE|TRACES)_/.test(name ?? ""));

  expect(own.filter((name) => !read.has(name ?? ""))).toEqual([]);
});

/** The services and what their `config.ts` reads. */
function services(): [string, string[]][] {
  return ["api", "scheduler", "hostd", "imagecache", "traces"].map((service) => {
    const folder = join(ROOT, "src", service);
    const files = readdirSync(folder).filter((name) => name === "config.ts" || name === "main.ts");
    const text = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
    return [service, [...text.matchAll(/^ {2,4}([A-Z][A-Z0-9_]+): [a-z]/gm)].map((match) => match[1] ?? "")];
  });
}
