import { createHash } from "node:crypto";
import { copyFileSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ROOT } from "../lib/paths.ts";

const SOURCE = join(ROOT, "src/console/web");
const DIST = join(SOURCE, "dist");
/** Files outside of `SOURCE` that decide what the bundle is. */
const OTHERS = [
  ...globSync("src/console/answers/*.ts", { cwd: ROOT }).sort(),
  "src/lib/latency/answers.ts",
  "src/lib/latency/operation.ts",
  "package-lock.json",
];

/**
 * Bundles the console's page into `src/console/web/dist`, unless it is up to date; returns whether
 * it did. All files but `index.html` and the icon have a hash of their content in their names.
 */
export async function buildConsolePage(): Promise<boolean> {
  const inputs = hashInputs();
  if (readStamp() === inputs) return false;
  const draft = `${DIST}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    await bundle(draft);
    writeFileSync(join(draft, ".inputs"), inputs);
    swap(draft);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return true;
}

function swap(draft: string): void {
  const old = `${draft}.old`;
  try {
    renameSync(DIST, old);
  } catch {
    // There was none.
  }
  renameSync(draft, DIST);
  rmSync(old, { recursive: true, force: true });
}

async function bundle(folder: string): Promise<void> {
  // Only when there is something to build: it starts a process.
  const { build } = await import("esbuild");
  const { metafile } = await build({
    absWorkingDir: SOURCE,
    entryPoints: ["main.tsx"],
    outdir: folder,
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    target: "es2023",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    logLevel: "silent",
    metafile: true,
  });
  const entries = Object.entries(metafile.outputs).map(([path, output]) => ({
    name: basename(path),
    output,
  }));
  const script = entries.find(({ name }) => /^main-\w+\.js$/.test(name));
  const style = entries.find(({ name }) => /^main-\w+\.css$/.test(name));
  if (!script || !style) throw new Error("the bundle of the console's page has no script or no style sheet");
  const imported = script.output.imports.filter(({ kind }) => kind === "import-statement");
  const page = readFileSync(join(SOURCE, "index.html"), "utf8")
    .replace("{style}", style.name)
    .replace("{script}", script.name)
    .replace(
      /^( *)\{preload\}\n/m,
      imported.map(({ path }) => `    <link rel="modulepreload" href="${basename(path)}">\n`).join(""),
    );
  writeFileSync(join(folder, "index.html"), page);
  copyFileSync(join(SOURCE, "favicon.svg"), join(folder, "favicon.svg"));
}

function hashInputs(): string {
  const own = globSync("**/*", { cwd: SOURCE, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(DIST))
    .map((entry) => join(entry.parentPath, entry.name));
  const others = [...OTHERS.map((file) => join(ROOT, file)), import.meta.filename];
  const hash = createHash("sha256");
  for (const file of [...own.sort(), ...others]) hash.update(file).update("\0").update(readFileSync(file));
  return hash.digest("hex");
}

function readStamp(): string {
  try {
    return readFileSync(join(DIST, ".inputs"), "utf8");
  } catch {
    return "";
  }
}
