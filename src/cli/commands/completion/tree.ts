import type { Command } from "commander";

/** A command as a completion needs it. */
export interface Node {
  /** Names from the program on, without its own: `machine run`. */
  readonly path: string;
  readonly children: readonly Word[];
  readonly flags: readonly Flag[];
  /** Values of its first argument, where these are fixed. */
  readonly values: readonly string[];
}

export interface Word {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly help: string;
}

export interface Flag {
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly takesValue: boolean;
  readonly help: string;
}

/** Lists a program and all of its commands. */
export function nodesOf(command: Command, path: readonly string[] = []): readonly Node[] {
  const visible = command.createHelp().visibleCommands(command);
  const children = visible.map((child) => ({
    name: child.name(),
    aliases: child.aliases(),
    help: child.description(),
  }));
  const flags = command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, required, optional, description }) => ({
      long,
      short,
      takesValue: required || optional,
      help: description,
    }));
  const values = command.registeredArguments[0]?.argChoices ?? [];
  const own = { path: path.join(" "), children, flags, values };
  // Of commands only: the help command has no command of its own.
  const below = command.commands.filter((child) => visible.includes(child));
  return [own, ...below.flatMap((child) => nodesOf(child, [...path, child.name()]))];
}

/** Completions after a command, names of its own commands first. */
export function wordsOf({ children, flags, values }: Node): readonly string[] {
  return [
    ...children.flatMap(({ name, aliases }) => [name, ...aliases]),
    ...values,
    ...flags.flatMap(({ long, short }) => [long, short].filter((word) => word !== undefined)),
  ];
}

/** The steps from one command to the next: with the names typed, to where they lead. */
export function stepsOf(
  nodes: readonly Node[],
): readonly { readonly from: string; readonly names: readonly string[]; readonly to: string }[] {
  return nodes.flatMap(({ path, children }) =>
    children.map(({ name, aliases }) => ({
      from: path,
      names: [name, ...aliases],
      to: path === "" ? name : `${path} ${name}`,
    })),
  );
}
