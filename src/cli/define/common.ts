import type { Command } from "commander";
import { nameOf } from "../runner.ts";

/** A group of commands; called without one of them, it shows its help and fails. */
export function group(
  parent: Command,
  name: string,
  aliases: readonly string[],
  description: string,
): Command {
  const made = parent.command(name).aliases(aliases).description(description).helpCommand(false);
  return made.showHelpAfterError(`Help: ${nameOf(made)} --help`);
}

/** A command with the flags that all of them have. */
export function leaf(parent: Command, usage: string, description: string): Command {
  const made = parent.command(usage).description(description);
  return made
    .showHelpAfterError(`Help: ${nameOf(made)} --help`)
    .option("-j, --json", "print JSON")
    .option("--api <address>", "address of the api (default: WINDHOVER_API)")
    .option("--token-file <path>", "file with the token (default: WINDHOVER_TOKEN, or the fleet's)");
}
