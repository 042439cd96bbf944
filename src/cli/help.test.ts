import type { Command } from "commander";
import { expect, test } from "vitest";
import { nodesOf } from "./commands/completion/tree.ts";
import { buildWholeProgram } from "./program.ts";
import { paint } from "./session/terminal.ts";

interface Page {
  readonly name: string;
  readonly isLeaf: boolean;
  readonly text: string;
}

/** Reads the help of every command from the tree itself, so that none is forgotten. */
async function helpPages(): Promise<Page[]> {
  let text = "";
  const terminal = {
    out: (more: string) => {
      text += more;
    },
    err: () => undefined,
    pass: async () => undefined,
    ...{ isTty: false, isErrTty: false, width: 100, paint: paint(false) },
  };
  const around = { terminal, env: {}, signal: new AbortController().signal, exitCode: 0 };
  const pages: Page[] = [];
  const walk = (command: Command, path: string) => {
    text = "";
    command.outputHelp();
    const visible = command.createHelp().visibleCommands(command);
    pages.push({ name: path, isLeaf: visible.length === 0, text });
    for (const child of command.commands.filter((each) => visible.includes(each)))
      walk(child, `${path} ${child.name()}`);
  };
  walk(await buildWholeProgram(around), "hover");
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

test("completion knows every command that has a help page", async () => {
  const around = {
    terminal: {
      out: () => {},
      err: () => {},
      pass: async () => {},
      isTty: false,
      isErrTty: false,
      width: 100,
      paint: paint(false),
    },
    env: {},
    signal: new AbortController().signal,
    exitCode: 0,
  };
  const known = nodesOf(await buildWholeProgram(around)).map(({ path }) => `hover ${path}`.trim());

  expect(known).toEqual((await helpPages()).map(({ name }) => name));
});
