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
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../../tools/lib/paths.ts";
import { freshClone } from "../../support/readme/clone.ts";
import { commandsOf, learnNames, missingLines, withNames } from "../../support/readme/commands.ts";
import { COMMAND_TIMEOUT_MS, type Ended, freshEnvironment, runCommand } from "../../support/readme/shell.ts";
import { temporaryFolder } from "../../support/temporary.ts";

const NOT_RUN = /^(?:npm test|git clone|cd)\b/;
const NEEDS_FLEET = /bin\/hover|\bcurl\b/;

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
  environment = await freshEnvironment(names);
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
function run(command: string, ready?: RegExp): Promise<Ended> {
  return runCommand(command, clone, environment, ready);
}
