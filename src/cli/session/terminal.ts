import { stripVTControlCharacters, styleText } from "node:util";

export interface Terminal {
  /** Results: standard output. */
  out(text: string): void;
  /** Everything else: standard error. */
  err(text: string): void;
  /** Writes bytes of a program as they are. Resolves when there is room for more. */
  pass(to: "stdout" | "stderr", bytes: Uint8Array): Promise<void>;
  /** Whether a person reads standard output. */
  readonly isTty: boolean;
  /** Whether a person reads standard error. */
  readonly isErrTty: boolean;
  /** Columns of the screen; undefined when the output goes elsewhere. */
  readonly width: number | undefined;
  readonly paint: Paint;
}

const STYLES = ["bold", "dim", "red", "green", "yellow", "cyan"] as const;

/** Colours. Each function returns its text as it is when colours are off. */
export type Paint = Readonly<Record<(typeof STYLES)[number], (text: string) => string>>;

export function paint(enabled: boolean): Paint {
  const functions = STYLES.map((style) => [
    style,
    (text: string) => (enabled ? styleText(style, text, { validateStream: false }) : text),
  ]);
  // The keys are those of the type.
  return Object.fromEntries(functions) as Paint;
}

/** Makes the terminal of this process. Calls `onGone` when standard output is closed. */
export function processTerminal(env: NodeJS.ProcessEnv, onGone: () => void): Terminal {
  const { stdout, stderr } = process;
  let gone = false;
  // `hover machine list | head -1` is no error.
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
    pass: async (to, bytes) => {
      if (to === "stdout" && gone) return;
      if (!process[to].write(bytes)) await roomIn(process[to]);
    },
    isTty: stdout.isTTY === true,
    isErrTty: stderr.isTTY === true,
    width: stdout.isTTY ? stdout.columns || 80 : Number(env["COLUMNS"]) || undefined,
    paint: paint(Boolean(wantsColour)),
  };
}

/** Waits until a stream has room again, or nobody reads it. */
function roomIn(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "error", "close"]) stream.off(event, done);
      resolve();
    };
    for (const event of ["drain", "error", "close"]) stream.on(event, done);
  });
}

/** Removes escapes and control characters, except tabs, from text of others. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
  return stripVTControlCharacters(text).replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, " ");
}
