/**
 * Follows docs/tutorial-faas.md in a fresh clone: runs every command of its blocks, and compares
 * what they print with what is shown. What runs in a terminal of its own goes on until the end.
 * Addresses and ids are replaced as in the test of the README.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../../../tools/lib/paths.ts";
import { freshClone } from "../../support/readme/clone.ts";
import { commandsOf, learnNames, missingLines, withNames } from "../../support/readme/commands.ts";
import {
  COMMAND_TIMEOUT_MS,
  DocumentCommand,
  freshEnvironment,
  runCommand,
} from "../../support/readme/shell.ts";
import { temporaryFolder } from "../../support/temporary.ts";

/** Commands that go on, and what they print when they are ready. */
const TERMINALS = [
  [/^npm start/, /Ctrl-C stops/],
  [/faas serve/, /"serving"/],
] as const;

const commands = commandsOf(readFileSync(join(ROOT, "docs/tutorial-faas.md"), "utf8"));
const scratch = temporaryFolder("tutorial");
const clone = join(scratch.path, "windhover");
const names = new Map<string, string>();
const terminals: DocumentCommand[] = [];
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  freshClone(clone);
  environment = await freshEnvironment(names);
  environment["FAAS_REGISTRY"] = environment["REGISTRY_LISTEN"];
  environment["WINDHOVER_API"] = environment["API_LISTEN"];
});

afterAll(async () => {
  // The fleet is the first.
  for (const terminal of terminals.reverse()) {
    terminal.signal("SIGINT");
    await terminal.ended;
  }
  scratch.remove();
}, COMMAND_TIMEOUT_MS);

test.each(commands)("line $line: $command", async ({ command, output }) => {
  const ready = TERMINALS.find(([pattern]) => pattern.test(command))?.[1];
  if (ready) {
    const terminal = new DocumentCommand(command, clone, environment, true);
    terminals.push(terminal);
    await terminal.prints(ready);
    expect(terminal.output).toMatch(ready);
    return;
  }
  const follow = async () => {
    const ended = await runCommand(withNames(command, names), clone, environment);
    const lines = ended.output.split("\n");
    return { ...ended, lines, missing: missingLines(output, lines) };
  };
  let ended = await follow();
  // A new version is served a moment after it is deployed.
  if (command.startsWith("curl")) {
    await expect
      .poll(async () => {
        if (ended.missing.length > 0) ended = await follow();
        return ended.missing;
      })
      .toEqual([]);
  }

  expect(ended, ended.output).toMatchObject({ code: 0, missing: [] });
  learnNames(output, ended.lines, names);
});
