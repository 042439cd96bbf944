import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildPackage, PACKAGE } from "../../../clients/typescript/build/package.ts";
import { ROOT } from "../../../tools/lib/paths.ts";
import { run } from "../../../tools/lib/run.ts";

/** Builds and packs the client; returns the path of the tarball. */
export async function packClient(folder: string): Promise<string> {
  await buildPackage();
  const name = await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: PACKAGE });
  return join(folder, name.trim());
}

/**
 * Makes a project and installs the tarball into it with npm, without a network: what it depends on
 * lies there already, copied from this project, and npm takes it as it is.
 */
export async function installInto(
  folder: string,
  tarball: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  for (const name of dependenciesOf(PACKAGE)) {
    cpSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name), { recursive: true });
  }
  const args = ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", tarball];
  await run("npm", args, { cwd: folder });
}

/** Returns the names of all packages that the one in a folder needs, directly or not. */
function dependenciesOf(folder: string, found = new Set<string>()): ReadonlySet<string> {
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const name of Object.keys(dependencies)) {
    const place = join(ROOT, "node_modules", name);
    if (found.has(name) || !existsSync(place)) continue;
    dependenciesOf(place, found.add(name));
  }
  return found;
}
