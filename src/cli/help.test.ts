import type { Command } from "commander";
import { expect, test } from "vitest";
import { nodesOf } from "./commands/completion/tree.ts";
import { commandLine } from "./commands/machine/config/command-line.ts";
import { buildWholeProgram } from "./program.ts";
import { paint } from "./session/terminal.ts";

interface Page {
  readonly name: string;
  readonly isLeaf: boolean;
  readonly text: string;
}

function around(
  out: (text: string) => void = () => undefined,
  err: (text: string) => void = () => undefined,
) {
  const terminal = {
    ...{ out, err, pass: async () => undefined },
    ...{ isTty: false, isErrTty: false, width: 100, paint: paint(false) },
  };
  return { terminal, env: {}, signal: new AbortController().signal, exitCode: 0 };
}

/** A command and all below it. */
function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** Reads the help of every command from the tree itself, so that none is forgotten. */
async function helpPages(): Promise<Page[]> {
  let text = "";
  const program = await buildWholeProgram(
    around((more) => {
      text += more;
    }),
  );
  const pages: Page[] = [];
  const walk = (command: Command, path: string) => {
    text = "";
    command.outputHelp();
    const visible = command.createHelp().visibleCommands(command);
    pages.push({ name: path, isLeaf: visible.length === 0, text });
    for (const child of command.commands.filter((each) => visible.includes(each)))
      walk(child, `${path} ${child.name()}`);
  };
  walk(program, "hover");
  return pages;
}

test("the help of every command is as written in help.txt", async () => {
  const pages = await helpPages();

  const line = "=".repeat(100);
  const text = pages.map((page) => `${line}\n${page.name} --help\n${line}\n${page.text}`).join("\n");
  await expect(text).toMatchFileSnapshot("help.txt");
});

test("every command's help has an example that begins with the command", async () => {
  const pages = (await helpPages()).filter(({ isLeaf }) => isLeaf);

  const without = pages.filter(
    ({ name, text }) => !new RegExp(`^Examples?:\n(?:  .*\n)*?.*${name}\\b`, "m").test(text),
  );
  expect(pages.length).toBeGreaterThan(60);
  expect(without.map(({ name }) => name)).toEqual([]);
});

test("the examples in the help are taken as they are written", async () => {
  const examples = (await helpPages()).flatMap(({ text }) =>
    [...text.matchAll(/^ {2}(?:.* \| )?hover (.*?)(?: {8}.*| \| .*)?$/gm)].map(([, words = ""]) => words),
  );
  const refused: string[] = [];
  for (const example of examples) {
    const errors: string[] = [];
    const program = await buildWholeProgram(
      around(
        () => undefined,
        (text) => errors.push(text),
      ),
    );
    for (const command of allOf(program)) command.exitOverride().action(() => undefined);
    await program.parseAsync(commandLine(example), { from: "user" }).catch((err: unknown) => {
      refused.push(`hover ${example}: ${errors.join("") || err}`);
    });
  }

  expect(examples.length).toBeGreaterThan(80);
  expect(refused).toEqual([]);
});

test("completion knows every command that has a help page", async () => {
  const known = nodesOf(await buildWholeProgram(around())).map(({ path }) => `hover ${path}`.trim());

  expect(known).toEqual((await helpPages()).map(({ name }) => name));
});
