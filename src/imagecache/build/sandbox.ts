import { execFile } from "node:child_process";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { showPrograms } from "../../lib/confinement/programs.ts";

/** How the process that builds an image is kept apart from the host. See ADR 22. */
export interface Sandbox {
  /** Arguments of bubblewrap that make it; undefined when none works. */
  readonly options: readonly string[] | undefined;
  /** What does not work on this host, and why; "" when all does. */
  readonly shortfall: string;
}

export interface ProcessLimits {
  /** Of the JavaScript process, and of tar2sqfs. */
  readonly memoryBytes: number;
  readonly descriptors: number;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

const SOURCES = join(import.meta.dirname, "../..");
const PACKAGE = join(SOURCES, "../package.json");
const INSIDE = {
  node: "/app/node",
  sources: "/app/src",
  package: "/app/package.json",
  output: "/output",
} as const;
/** What V8 sets aside and counts as data without using it: 575 MB for an idle process. */
const V8_RESERVED_BYTES = 640 * 1024 * 1024;
const PROBE_TIMEOUT_MS = 10_000;
/** The process gets nothing of the image cache's own environment. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LC_ALL: "C",
};

const ALL = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"];
const NOBODY = "65534";
/** From the best to the least. Without user namespaces root can make the others, and stays root of what is shown. */
const SANDBOXES = [[...ALL, "--unshare-user", "--disable-userns", "--uid", NOBODY, "--gid", NOBODY], ALL];

/** Finds the best sandbox that works on this host. */
export async function findSandbox(): Promise<Sandbox> {
  const problems: string[] = [];
  for (const options of SANDBOXES) {
    const sandbox = { options, shortfall: problems.join("; ") };
    const { program, args } = inSandbox(sandbox, undefined, ["--version"]);
    try {
      await promisify(execFile)(program, args, { timeout: PROBE_TIMEOUT_MS, env: ENVIRONMENT });
      return sandbox;
    } catch (err) {
      const message = err instanceof Error ? err.message : String(err);
      problems.push(`bubblewrap: ${message.split("\n").at(1) || message.split("\n").at(0)}`);
    }
  }
  return { options: undefined, shortfall: problems.join("; ") };
}

/** Makes the command that builds an image whose squashfs goes to `output`. */
export function buildCommand(sandbox: Sandbox, output: string, limits: ProcessLimits): Command {
  const { memoryBytes, descriptors } = limits;
  const sources = sandbox.options === undefined ? SOURCES : INSIDE.sources;
  const heapMib = Math.floor(memoryBytes / 2 / 1024 / 1024);
  const script = join(sources, relative(SOURCES, import.meta.dirname), "child.ts");
  const command = inSandbox(sandbox, output, [`--max-old-space-size=${heapMib}`, script]);
  const data = `--data=${memoryBytes + V8_RESERVED_BYTES}`;
  const limited = [data, `--nofile=${descriptors}`, "--core=0", "--", command.program, ...command.args];
  return { program: "prlimit", args: limited };
}

/** Returns the path at which the process finds its output. */
export function visibleOutput(sandbox: Sandbox, output: string): string {
  return sandbox.options === undefined ? output : INSIDE.output;
}

/** Makes a command that runs Node. It sees programs, our code and the output, if there is one. */
function inSandbox({ options }: Sandbox, output: string | undefined, args: readonly string[]): Command {
  if (options === undefined) return { program: process.execPath, args };
  return {
    program: "bwrap",
    args: [
      ...options,
      ...Object.entries(ENVIRONMENT).flatMap(([name, value]) => ["--setenv", name, value]),
      ...showPrograms(),
      ...["--dev", "/dev", "--ro-bind", process.execPath, INSIDE.node],
      ...["--ro-bind", SOURCES, INSIDE.sources, "--ro-bind", PACKAGE, INSIDE.package],
      ...(output === undefined ? [] : ["--bind", output, INSIDE.output]),
      ...["--chdir", dirname(INSIDE.node), "--", INSIDE.node, ...args],
    ],
  };
}
