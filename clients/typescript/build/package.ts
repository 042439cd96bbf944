import { hash, randomUUID } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { ROOT, tool } from "../../../tools/lib/paths.ts";
import { run } from "../../../tools/lib/run.ts";
import { generate } from "../../../tools/setup/generate.ts";

/** Folder of the package. */
export const PACKAGE = join(ROOT, "clients/typescript");

/** The two kinds of modules, and the `type` of their `package.json`. */
const KINDS = { esm: "module", cjs: "commonjs" } as const;

/** Another build has moved `dist` away, or its own there, in the same moment. */
const TAKEN: ReadonlySet<string> = new Set(["ENOENT", "ENOTEMPTY", "EEXIST"]);

/** The file that knows its own path, which CommonJS needs another version of. */
const HERE = { file: "access/here.ts", cjs: "export const here: string = __dirname;\n" };

/**
 * Makes `dist`. Swaps a finished folder in, so that an interrupted run changes nothing; leaves the old
 * one when it is the same, since programs may be loading it.
 */
export async function buildPackage(signal?: AbortSignal): Promise<void> {
  await generate(signal);
  const draft = join(PACKAGE, ".build", String(process.pid));
  rmSync(draft, { recursive: true, force: true });
  try {
    await Promise.all([compile(draft, "esm", signal), compile(draft, "cjs", signal)]);
    copyFileSync(join(ROOT, "LICENSE"), join(PACKAGE, "LICENSE"));
    swapIn(draft);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Puts a finished `dist` where the old one is. Another build may do the same: the one that comes second changes nothing. */
function swapIn(draft: string): void {
  const [made, dist] = [join(draft, "dist"), join(PACKAGE, "dist")];
  while (contentsOf(made) !== contentsOf(dist)) {
    try {
      if (existsSync(dist)) renameSync(dist, join(draft, randomUUID()));
      renameSync(made, dist);
      return;
    } catch (err) {
      if (!TAKEN.has((err as NodeJS.ErrnoException).code ?? "")) throw err;
    }
  }
}

/** Describes the files of a folder and what is in them. */
function contentsOf(folder: string): string {
  const files = globSync("**/*", { cwd: folder, withFileTypes: true }).filter((each) => each.isFile());
  const paths = files.map((each) => join(each.parentPath, each.name)).sort();
  const digestOf = (file: string) => hash("sha256", readFileSync(file));
  return paths.map((file) => `${relative(folder, file)} ${digestOf(file)}`).join("\n");
}

/** Compiles a copy of the sources: the compiler takes the kind of its output from their `package.json`. */
async function compile(draft: string, kind: keyof typeof KINDS, signal: AbortSignal | undefined) {
  const from = join(draft, kind);
  const to = join(draft, "dist", kind);
  mkdirSync(to, { recursive: true });
  cpSync(join(PACKAGE, "src"), join(from, "src"), {
    recursive: true,
    filter: (file) => !file.endsWith("/src/testing"),
  });
  copyFileSync(join(PACKAGE, "tsconfig.json"), join(from, "tsconfig.json"));
  const type = `${JSON.stringify({ type: KINDS[kind] })}\n`;
  for (const folder of [from, to]) writeFileSync(join(folder, "package.json"), type);
  if (kind === "cjs") writeFileSync(join(from, "src", HERE.file), HERE.cjs);
  await run(tool("tsc"), ["-p", from, "--rootDir", join(from, "src"), "--outDir", to], { signal });
  for (const file of globSync("**/*.d.ts", { cwd: to })) {
    // The compiler rewrites the names of imports in JavaScript alone.
    const text = readFileSync(join(to, file), "utf8");
    writeFileSync(join(to, file), text.replace(/((?:from |import\()"\.[^"]*)\.ts"/g, '$1.js"'));
  }
}
