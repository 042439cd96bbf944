import { UserError } from "./main.ts";

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
