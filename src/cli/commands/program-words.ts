import type { Option } from "commander";

/** Words that commander does not take for flags: a dash alone, or a negative number. */
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
      if (takesNext(arg, args[at + 1], options)) at++;
      continue;
    }
    words++;
    if (words === 2) return [...args.slice(0, at), "--", ...args.slice(at)];
  }
  return [...args];
}

/** Whether the next argument is the value of this flag: not for `--name=x`, `-nx` and `-j`. */
function takesNext(arg: string, next: string | undefined, options: readonly Option[]): boolean {
  const exact = options.find((option) => option.short === arg || option.long === arg);
  if (exact) return exact.required || mayTake(exact, next);
  if (arg.startsWith("--")) return false;
  // Short flags in one: those without a value, then perhaps one whose value is attached or next.
  for (let at = 1; at < arg.length; at++) {
    const option = options.find((each) => each.short === `-${arg[at]}`);
    if (option === undefined) return false;
    if (option.required) return at === arg.length - 1;
  }
  return false;
}

/**
 * Joins flags whose value may be left out with it: `--autostop stop` becomes `--autostop=stop`, and
 * `--autostop nginx` becomes `--autostop=<preset> nginx`, since only a known value is one.
 */
export function joinOptional(args: readonly string[], options: readonly Option[]): string[] {
  const end = args.indexOf("--");
  const own = args.slice(0, end < 0 ? args.length : end);
  const joined: string[] = [];
  for (let at = 0; at < own.length; at++) {
    const arg = own[at] ?? "";
    const option = options.find(({ long, optional, argChoices }) => long === arg && optional && argChoices);
    if (!option) joined.push(arg);
    else if (mayTake(option, own[at + 1])) joined.push(`${arg}=${own[++at]}`);
    else joined.push(`${arg}=${String(option.presetArg)}`);
  }
  return [...joined, ...args.slice(own.length)];
}

function mayTake({ optional, argChoices }: Option, next: string | undefined): boolean {
  return optional && next !== undefined && argChoices?.includes(next) === true;
}
