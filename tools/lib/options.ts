import { parseArgs } from "node:util";
import { UserError } from "./errors.ts";

/**
 * Reads options that take a value, e.g. `--hosts 3`.
 *
 * @throws UserError that ends with `usage`
 */
export function parseOptions<N extends string>(
  args: readonly string[],
  names: readonly N[],
  usage: string,
): Partial<Record<N, string>> {
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" } as const]));
  try {
    // The names are those of the options.
    return parseArgs({ args: [...args], options }).values as Partial<Record<N, string>>;
  } catch (cause) {
    throw new UserError(`${cause instanceof Error ? cause.message : cause}\n${usage}`, { cause });
  }
}

/**
 * Reads an option that takes a whole number; undefined when it was not given.
 *
 * @throws UserError that ends with `usage`
 */
export function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
  usage: string,
): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UserError(`--${name} takes a whole number from ${least} on; it is "${text}".\n${usage}`);
}
