import type { Command } from "commander";

/** A group of commands; called without one of them, it shows its help and fails. */
export function group(
  parent: Command,
  name: string,
  aliases: readonly string[],
  description: string,
): Command {
  return parent.command(name).aliases(aliases).description(description).helpCommand(false);
}

/** A command with the flags that all of them have. */
export function leaf(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option("-j, --json", "print JSON")
    .option("--api <address>", "address of the api")
    .option("--token-file <path>", "file with the token");
}
