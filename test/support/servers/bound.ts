import { program } from "../../../tools/lib/programs.ts";

/** Returns the command line of a program that the kernel kills when this process is gone, however that ended. */
export function bound(command: string, args: readonly string[]): [string, string[]] {
  return [program("setpriv"), ["--pdeathsig", "KILL", "--", command, ...args]];
}
