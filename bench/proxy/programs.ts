import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { type BuiltImage, buildImage, type TarEntry } from "../../test/support/oci/index.ts";
import { run as runProgram } from "../../tools/lib/run.ts";
import type { Run } from "../lib/benchmark.ts";
import { compile } from "../lib/program.ts";

/** `http` is a server of a few lines; the others take some seconds to boot. */
export const PROGRAMS = ["http", "node", "python"] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** Port that each of them listens at. */
export const PORT = 8080;

/** A server in an image. */
export interface Program {
  readonly name: ProgramName;
  readonly command: readonly [string, ...string[]];
  readonly image: BuiltImage;
}

const SOURCES = join(import.meta.dirname, "../program");
/** Where Debian has its Python; others on the path may be anybody's. */
const PYTHON = "/usr/bin/python3";
const NODE = "/usr/bin/node";
/** Folders of Python's library that no server needs. */
const LEFT_OUT =
  /^(test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|dist-packages|config-.*)(\/|$)/;
const EXECUTABLE = 0o755;
/** For a boot by hand, whose init mounts something there. */
const FOLDERS: readonly TarEntry[] = ["dev", "proc", "tmp"].map((path) => ({ path, type: "dir" }));

/** Makes the image of a program, or says why it cannot. Nothing is downloaded. */
export async function makeProgram(
  name: ProgramName,
  run: Run,
): Promise<Program | { readonly problem: string }> {
  return run.progress.step(`image of ${name}`, async () => {
    if (name === "http") {
      const content = readFileSync(await compile("serve", run.folder, run.signal));
      return programOf(name, ["/bin/serve"], [{ path: "bin/serve", mode: EXECUTABLE, content }]);
    }
    if (name === "node") {
      const files = await withLibraries(NODE, realpathSync(process.execPath), run.signal);
      return programOf(name, [NODE, "/app/app.mjs"], [...files, source("app.mjs")]);
    }
    if (!existsSync(PYTHON)) return { problem: `${PYTHON} is not there: sudo apt-get install python3` };
    const path = realpathSync(PYTHON);
    const files = await withLibraries(path, path, run.signal);
    const script = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    const library = (await runProgram(path, ["-I", "-c", script], { signal: run.signal })).trim();
    return programOf(name, [path, "/app/app.py"], [...files, ...libraryOf(library), source("app.py")]);
  });
}

function programOf(name: ProgramName, command: Program["command"], files: readonly TarEntry[]): Program {
  const layers = [[...FOLDERS, ...files]];
  const config = { Entrypoint: command, Env: ["PATH=/usr/bin:/bin"] };
  return { name, command, image: buildImage({ layers, config, compression: "none" }) };
}

function source(name: string): TarEntry {
  return { path: `app/${name}`, content: readFileSync(join(SOURCES, name)) };
}

/** Returns a program, the shared libraries that `ldd` finds for it, and their loader. */
async function withLibraries(path: string, file: string, signal: AbortSignal): Promise<TarEntry[]> {
  const listed = await runProgram("ldd", [file], { signal });
  return [[path, file], ...librariesIn(listed).map((each) => [each, each])].map(([to = "", from = ""]) => ({
    path: to.slice(1),
    mode: EXECUTABLE,
    content: readFileSync(from),
  }));
}

/** Reads the paths of libraries and loader from what `ldd` prints. */
export function librariesIn(listed: string): readonly string[] {
  return listed.split("\n").flatMap((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

/** Returns the files of Python's library, without those that need its development package or a screen. */
function libraryOf(folder: string): readonly TarEntry[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !LEFT_OUT.test(name))
    .flatMap((name) => {
      const file = join(folder, name);
      // Some are links to files that are not there.
      if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return [];
      return [{ path: file.slice(1), content: readFileSync(file) }];
    });
}
