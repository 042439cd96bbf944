import type { Option } from "commander";

/** What commander does not take for a flag: a dash alone, or a negative number. */
const WORD = /^(?:[^-]|-?$|-\.?\d)/s;

/**
 * Puts `--` before the second word of a command line, so that all from there on is the program's:
 * `IMAGE -a web echo -n hi` becomes `IMAGE -a web -- echo -n hi`.
 *
 * @param options flags of the command, whose values are no words
 */
export function separateProgram(args: readonly string[], options: readonly Option[]): string[] {
  let words = 0;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") break;
    if (!WORD.test(arg)) {
      if (takesNext(arg, options)) at++;
      continue;
    }
    words++;
    if (words === 2) return [...args.slice(0, at), "--", ...args.slice(at)];
  }
  return [...args];
}

/** Whether the next argument is the value of this flag: not for `--name=x`, `-nx` and `-j`. */
function takesNext(arg: string, options: readonly Option[]): boolean {
  const exact = options.find((option) => option.short === arg || option.long === arg);
  if (exact) return exact.required;
  if (arg.startsWith("--")) return false;
  // Short flags in one: those without a value, then perhaps one whose value is attached or next.
  for (let at = 1; at < arg.length; at++) {
    const option = options.find((each) => each.short === `-${arg[at]}`);
    if (option === undefined) return false;
    if (option.required) return at === arg.length - 1;
  }
  return false;
}
