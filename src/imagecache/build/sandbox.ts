import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { showPrograms } from "../../lib/confinement/programs.ts";

/** How the process that builds an image is kept apart from the host. See ADR 22. */
export interface Sandbox {
  /** Arguments of bubblewrap that make it; undefined when none works. */
  readonly options: readonly string[] | undefined;
  /** What does not work on this host, and why; "" when all does. */
  readonly shortfall: string;
  /** Folder of compiled code. Without it each process would compile: 130 of the 180 ms of its start. */
  readonly compiled: string;
}

export interface ProcessLimits {
  /** Of the JavaScript process, and of tar2sqfs. */
  readonly memoryBytes: number;
  readonly descriptors: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** The process gets nothing of the image cache's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

const SOURCES = join(import.meta.dirname, "../..");
const SCRIPT = join(relative(SOURCES, import.meta.dirname), "child.ts");
const PACKAGE = join(SOURCES, "../package.json");
const INSIDE = {
  ...{ node: "/app/node", sources: "/app/src", package: "/app/package.json", compiled: "/app/compiled" },
  output: "/output",
} as const;
/** What V8 sets aside and counts as data without using it: 575 MB for an idle process. */
const V8_RESERVED_BYTES = 640 * 1024 * 1024;
const PROBE_TIMEOUT_MS = 20_000;

const ALL = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"];
const NOBODY = "65534";
/** From the best to the least. Without user namespaces root can make the others, and stays root of what is shown. */
const SANDBOXES: readonly Sandbox["options"][] = [
  [...ALL, "--unshare-user", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY],
  ALL,
  undefined,
];

/**
 * Finds the best sandbox that works on this host, by starting the process in it without an image.
 *
 * @param compiled folder for compiled code, made anew; only this start writes to it when there is a sandbox
 * @throws when the process does not start at all
 */
export async function findSandbox(compiled: string): Promise<Sandbox> {
  const problems: string[] = [];
  for (const options of SANDBOXES) {
    await rm(compiled, { recursive: true, force: true });
    await mkdir(compiled, { mode: 0o700 });
    const sandbox = { options, shortfall: problems.join("; "), compiled };
    const { program, args, env } = inSandbox(sandbox, ["--bind", compiled, INSIDE.compiled], []);
    try {
      const started = promisify(execFile)(program, args, { timeout: PROBE_TIMEOUT_MS, env });
      // It ends when nobody is there to give it an image.
      started.child.stdin?.end();
      await started;
      return sandbox;
    } catch (err) {
      const [first = "", second = ""] = (err instanceof Error ? err.message : String(err)).split("\n");
      problems.push(second || first);
    }
  }
  throw new Error(`the process that builds images does not start: ${problems.join("; ")}`);
}

/** Makes the command that builds an image whose squashfs goes to `output`. */
export function buildCommand(sandbox: Sandbox, output: string, limits: ProcessLimits): Command {
  const { memoryBytes, descriptors } = limits;
  const shown = ["--ro-bind", sandbox.compiled, INSIDE.compiled, "--bind", output, INSIDE.output];
  const heap = `--max-old-space-size=${Math.floor(memoryBytes / 2 / 1024 / 1024)}`;
  const { program, args, env } = inSandbox(sandbox, shown, [heap]);
  const data = `--data=${memoryBytes + V8_RESERVED_BYTES}`;
  const limited = [data, `--nofile=${descriptors}`, "--core=0", "--", program, ...args];
  return { program: "prlimit", args: limited, env };
}

/** Returns the path at which the process finds its output. */
export function visibleOutput(sandbox: Sandbox, output: string): string {
  return sandbox.options === undefined ? output : INSIDE.output;
}

/** Makes the command of the process. In a sandbox it sees programs, our code and what `shown` binds. */
function inSandbox(
  { options, compiled }: Sandbox,
  shown: readonly string[],
  flags: readonly string[],
): Command {
  const isOpen = options === undefined;
  const env = {
    ...{ PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" },
    NODE_COMPILE_CACHE: isOpen ? compiled : INSIDE.compiled,
  };
  if (isOpen) return { program: process.execPath, args: [...flags, join(SOURCES, SCRIPT)], env };
  const args = [
    ...options,
    ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...showPrograms(),
    ...["--dev", "/dev", "--ro-bind", process.execPath, INSIDE.node],
    ...["--ro-bind", SOURCES, INSIDE.sources, "--ro-bind", PACKAGE, INSIDE.package],
    ...shown,
    ...["--chdir", dirname(INSIDE.node), "--", INSIDE.node, ...flags, join(INSIDE.sources, SCRIPT)],
  ];
  return { program: "bwrap", args, env };
}
