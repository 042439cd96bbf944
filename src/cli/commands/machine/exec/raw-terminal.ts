import type { TerminalSize } from "../../../../gen/windhover/machines/v1/exec.ts";

/** Used where the size is not known. */
const DEFAULT_SIZE: TerminalSize = { rows: 24, columns: 80 };
/** Most columns or rows that the API takes. */
const MAX_SIDE = 1_000;

/** The size of the terminal that standard output is. */
export function terminalSize({ stdout } = process): TerminalSize {
  const side = (given: number | undefined, usual: number) => Math.min(given || usual, MAX_SIDE);
  return {
    rows: side(stdout.rows, DEFAULT_SIZE.rows),
    columns: side(stdout.columns, DEFAULT_SIZE.columns),
  };
}

/**
 * Puts the terminal into raw mode, in which every key goes to the program, Ctrl-C too. Gives it back
 * as it was on disposal, and when the process ends without that. Does nothing where standard input
 * is no terminal.
 *
 * @param resized is called with the new size when the window changes
 */
export function rawTerminal(resized: (size: TerminalSize) => void): Disposable {
  const { stdin, stdout } = process;
  if (!stdin.isTTY) return { [Symbol.dispose]: () => undefined };
  const wasRaw = stdin.isRaw;
  const restore = () => {
    stdin.setRawMode(wasRaw);
  };
  const listener = () => resized(terminalSize());
  stdin.setRawMode(true);
  process.once("exit", restore);
  stdout.on("resize", listener);
  return {
    [Symbol.dispose]: () => {
      stdout.off("resize", listener);
      process.off("exit", restore);
      restore();
    },
  };
}
