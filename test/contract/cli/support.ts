import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { buildProgram } from "../../../src/cli/program.ts";
import { paint } from "../../../src/cli/session/terminal.ts";
import { bound } from "../../support/servers/bound.ts";
import { bearer } from "../traces/support.ts";
import { FakeApi } from "./fakes/fake-api.ts";

const MAIN = join(import.meta.dirname, "../../../src/cli/main.ts");

/** `hover` and an api of its own, for the tests of one file; forgotten before each. */
export function useCli() {
  const api = new FakeApi();
  const cli = {
    api,
    // Set before any test runs.
    home: undefined as unknown as Home,
    /** The last request of a method. Requests are kept as they came. */
    sent: <T = unknown>(method: string) =>
      api.requests.findLast((request) => request.method === method)?.request as T,
  };
  beforeAll(async () => {
    await api.start();
    cli.home = await makeHome({ api: api.address });
  });
  beforeEach(() => api.reset());
  afterAll(async () => {
    cli.home.remove();
    await api.stop();
  });
  return cli;
}

/** How a run of `hover` ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder that stands for a fleet's, with a development token in it, in which `hover` is run. */
export interface Home {
  readonly dir: string;
  /** Runs `hover` to its end. */
  hover(...args: string[]): Promise<Ended>;
  /** Runs it in this process, which is quicker. For commands that do not read standard input. */
  within(...args: string[]): Promise<Ended>;
  /** The same on a screen of so many columns. */
  onScreen(width: number, ...args: string[]): Promise<Ended>;
  /** Runs it with more of an environment. */
  hoverWith(env: Record<string, string>, ...args: string[]): Promise<Ended>;
  /** Starts it; its output is collected. Its standard input stays open. */
  start(env: Record<string, string>, ...args: string[]): Running;
  remove(): void;
}

/** A `hover` that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  out(): string;
  err(): string;
}

/** Makes a fleet's folder whose `fleet.json` names these addresses. */
export async function makeHome(addresses: {
  api: string;
  traces?: string;
  console?: string;
  registry?: string;
  rest?: string;
}): Promise<Home> {
  const dir = mkdtempSync(join(tmpdir(), "windhover-cli-"));
  const token = (await bearer("acme", "machines:read", "machines:write", "admin")).replace("Bearer ", "");
  writeFileSync(join(dir, "token"), `${token}\n`);
  // Nobody listens on port 1.
  const all = {
    traces: "127.0.0.1:1",
    console: "127.0.0.1:1",
    registry: "127.0.0.1:1",
    rest: "127.0.0.1:1",
    ...addresses,
  };
  writeFileSync(join(dir, "fleet.json"), JSON.stringify({ phase: "ready", addresses: all }));
  const start = (env: Record<string, string>, ...args: string[]) => run(dir, env, args);
  return {
    dir,
    start,
    hover: (...args) => withoutInput(start({}, ...args)).ended,
    hoverWith: (env, ...args) => withoutInput(start(env, ...args)).ended,
    within: (...args) => within(dir, args),
    onScreen: (width, ...args) => within(dir, args, width),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function withoutInput(running: Running): Running {
  running.child.stdin?.end();
  return running;
}

async function within(dir: string, args: string[], width?: number): Promise<Ended> {
  let [out, err] = ["", ""];
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    pass: async (to: "stdout" | "stderr", bytes: Uint8Array) => {
      if (to === "stdout") out += Buffer.from(bytes).toString();
      else err += Buffer.from(bytes).toString();
    },
    ...{ isTty: false, isErrTty: false, width, paint: paint(false) },
  };
  const { signal } = new AbortController();
  const around = { terminal, env: { WINDHOVER_DIR: dir }, signal, exitCode: 0 };
  try {
    await (await buildProgram(around, args)).parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    around.exitCode = error.exitCode === 0 ? 0 : 2;
  }
  return { code: around.exitCode, out, err };
}

function run(dir: string, env: Record<string, string>, args: readonly string[]): Running {
  const child = spawn(...bound(process.execPath, [MAIN, ...args]), {
    // Not the project's folder: hover works from anywhere.
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", WINDHOVER_DIR: dir, ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const ended = once(child, "close").then(([code]): Ended => ({ code: code as number | null, out, err }));
  return { child, ended, out: () => out, err: () => err };
}
