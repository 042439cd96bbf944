import { stripVTControlCharacters } from "node:util";

/** What a command writes to. */
export interface Terminal {
  /** Results: standard output. */
  out(text: string): void;
  /** Everything else: standard error. */
  err(text: string): void;
  /** Whether a person reads standard output. */
  readonly isTty: boolean;
  /** Whether a person reads standard error. */
  readonly isErrTty: boolean;
  /** Columns to keep to; undefined when nobody's screen is at stake. */
  readonly width: number | undefined;
  readonly paint: Paint;
}

/** Colours; each leaves its text as it is when there are to be none. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** Colours or none. */
export function paint(enabled: boolean): Paint {
  const sgr = (on: number, off: number) => (text: string) =>
    enabled ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    bold: sgr(1, 22),
    dim: sgr(2, 22),
    red: sgr(31, 39),
    green: sgr(32, 39),
    yellow: sgr(33, 39),
    cyan: sgr(36, 39),
  };
}

/** The terminal of this process. `onGone` is called when nobody reads standard output any more. */
export function processTerminal(env: NodeJS.ProcessEnv, onGone: () => void): Terminal {
  const { stdout, stderr } = process;
  let gone = false;
  // `hover machine list | head -1`: the reader has had enough, which is no error.
  stdout.on("error", () => {
    gone = true;
    onGone();
  });
  stderr.on("error", () => {});
  const wantsColour = env["FORCE_COLOR"] ? env["FORCE_COLOR"] !== "0" : stdout.isTTY && !env["NO_COLOR"];
  return {
    out: (text) => {
      if (!gone) stdout.write(text);
    },
    err: (text) => {
      stderr.write(text);
    },
    isTty: stdout.isTTY === true,
    isErrTty: stderr.isTTY === true,
    width: stdout.isTTY ? stdout.columns || 80 : Number(env["COLUMNS"]) || undefined,
    paint: paint(Boolean(wantsColour)),
  };
}

/** Text from elsewhere made harmless for a screen: no escapes, no control characters but tabs. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return stripVTControlCharacters(text).replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, " ");
}
