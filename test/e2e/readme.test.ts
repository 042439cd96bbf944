/**
 * Follows README.md in a fresh clone: runs every command of its blocks, and compares what they
 * print with what the README shows.
 *
 * - `npm test`, `git clone` and `cd` are not run; nor is a block after `<!-- not run -->`.
 * - `npm start` gets Ctrl-C when everything is ready.
 * - The fleet is brought up with `npm run up` before the first command that needs it, if no block
 *   does so.
 * - Default ports are replaced by free ones; `ID`, and ids and addresses in the README's output, by
 *   those of the run.
 * - Output is compared by its shape; `...` stands for lines, or the rest of a line.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePorts } from "../../dev/settings/ports.ts";
import { guestFolder, ROOT } from "../../tools/lib/paths.ts";
import { freeRun } from "../support/crash/free-run.ts";
import { freshClone } from "../support/readme/clone.ts";
import { commandsOf, learnNames, missingLines, withNames } from "../support/readme/commands.ts";
import { temporaryFolder } from "../support/temporary.ts";

const NOT_RUN = /^(?:npm test|git clone|cd)\b/;
const NEEDS_FLEET = /bin\/hover|\bcurl\b/;
const COMMAND_TIMEOUT_MS = 240_000;

const commands = commandsOf(readFileSync(join(ROOT, "README.md"), "utf8")).filter(
  ({ command }) => !NOT_RUN.test(command),
);
const scratch = temporaryFolder("readme");
const clone = join(scratch.path, "windhover");
const names = new Map<string, string>();
let environment: NodeJS.ProcessEnv;
let isUp = false;

beforeAll(async () => {
  freshClone(clone);
  const settings = [
    ["API_LISTEN", "7070"],
    ["SCHEDULER_LISTEN", "7071"],
    ["REGISTRY_LISTEN", "5000"],
    ["TRACES_LISTEN", "4318"],
    ["API_METRICS_LISTEN", "9100"],
    ["API_REST_LISTEN", "7080"],
    ["SCHEDULER_METRICS_LISTEN", "9101"],
  ] as const;
  const ports = await freePorts(settings.length);
  const addresses = settings.map(([name, port], index) => {
    names.set(`127.0.0.1:${port}`, `127.0.0.1:${ports[index]}`);
    return [name, `127.0.0.1:${ports[index]}`];
  });
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|NODE_|VITEST|WINDHOVER_)/.test(name),
  );
  environment = {
    ...Object.fromEntries([...inherited, ...addresses]),
    HOSTS_FIRST_PORT: String(await freeRun(4)),
    HOSTS_FIRST_METRICS_PORT: String(await freeRun(4)),
    MACHINES_FIRST_PORT: "23000",
    // Made once for all tests.
    WINDHOVER_GUEST_DIR: guestFolder(),
  };
});

afterAll(async () => {
  await run("npm run down");
  scratch.remove();
}, COMMAND_TIMEOUT_MS);

test.each(commands)("line $line: $command", async ({ command, output }) => {
  if (command.startsWith("npm run up")) isUp = true;
  if (NEEDS_FLEET.test(command) && !isUp) {
    expect(await run("npm run up")).toMatchObject({ code: 0 });
    isUp = true;
  }

  const ended = await run(
    withNames(command, names),
    command.startsWith("npm start") ? /Ctrl-C stops/ : undefined,
  );

  const lines = ended.output.split("\n");
  expect(ended, ended.output).toMatchObject({ code: 0 });
  expect(missingLines(output, lines), ended.output).toEqual([]);
  learnNames(output, lines, names);
});

/** Runs a command to its end. Interrupts it once it prints `ready`. */
async function run(command: string, ready?: RegExp): Promise<{ code: number | null; output: string }> {
  const child = spawn("sh", ["-c", `exec 2>&1\n${ready ? "exec " : ""}${command}`], {
    cwd: clone,
    env: environment,
    // A process group of its own, so that a signal reaches all of it, as Ctrl-C does.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const signalGroup = (signal: NodeJS.Signals) => child.pid !== undefined && process.kill(-child.pid, signal);
  const timer = setTimeout(() => signalGroup("SIGTERM"), COMMAND_TIMEOUT_MS);
  let output = "";
  let isInterrupted = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (isInterrupted || !ready?.test(output)) return;
    isInterrupted = true;
    signalGroup("SIGINT");
  });
  const [code] = await once(child, "close");
  clearTimeout(timer);
  return { code, output };
}
