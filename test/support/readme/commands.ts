/** A command in a document, with the output that is shown below it. */
export interface DocumentedCommand {
  readonly command: string;
  readonly output: readonly string[];
  /** Number of its line in the document, from 1. */
  readonly line: number;
}

/**
 * Extracts the commands of a document's fenced blocks. In ```sh every line is a command; in
 * ```console the lines after `$ ` are, and what follows is output. A backslash at the end of a line
 * or an open quote continues it. A block after `<!-- not run -->` is skipped.
 */
export function commandsOf(markdown: string): readonly DocumentedCommand[] {
  const commands: { command: string; output: string[]; line: number }[] = [];
  let kind: string | undefined;
  let isSkipped = false;
  let isContinued = false;
  for (const [index, text] of markdown.split("\n").entries()) {
    const last = commands.at(-1);
    const fence = /^```(\w*)/.exec(text);
    if (fence) {
      kind = kind === undefined ? fence[1] : undefined;
      isContinued = false;
      if (kind === undefined) isSkipped = false;
    } else if (kind === undefined) {
      if (text.trim() !== "") isSkipped = text.trim() === "<!-- not run -->";
    } else if ((kind === "sh" || kind === "console") && !isSkipped) {
      const command = kind === "sh" ? text : /^\$ (.*)/.exec(text)?.[1];
      if (isContinued && last) last.command += `\n${text}`;
      else if (command === undefined) last?.output.push(text);
      else if (command.trim() !== "") commands.push({ command, output: [], line: index + 1 });
      isContinued = (isContinued || command !== undefined) && isUnfinished(commands.at(-1)?.command);
    }
  }
  return commands;
}

/** Whether a command goes on in the next line: after a backslash, or within quotes. */
function isUnfinished(command = ""): boolean {
  return command.endsWith("\\") || command.split("'").length % 2 === 0;
}

/** What differs from run to run. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{14,64}\b/g, "ID"],
  [/127\.0\.0\.1:\d+/g, "ADDRESS"],
  [/\b(?:warm|template|cold)\b/g, "PATH"],
  [/-?\d[\d.,]*/g, "0"],
  [/\b0 (?:µs|ms|s)\b/g, "TIME"],
  [/[█▏→]+/g, " "],
  [/\s+/g, " "],
];

/** Reduces a line of output to what is the same in every run. */
function shapeOf(line: string): string {
  return VARIABLE.reduce((text, [pattern, to]) => text.replace(pattern, to), line).trim();
}

/**
 * Returns the lines of a documented output that have no line of the same shape, in the same order,
 * in the actual one. `...` stands for any lines; a line that ends with `...` for all that begin so.
 */
export function missingLines(documented: readonly string[], actual: readonly string[]): readonly string[] {
  let next = 0;
  return documented.filter((line) => {
    const shape = shapeOf(line.replace(/(?:\.\.\.|…)$/, ""));
    const isPrefix = /(?:\.\.\.|…)$/.test(line);
    const found = actual.findIndex((each, index) => {
      const other = shapeOf(each);
      return index >= next && (isPrefix ? other.startsWith(shape) : other === shape);
    });
    if (shape === "") return false;
    if (found >= 0) next = found + 1;
    return found < 0;
  });
}

const NAMES = /\b[0-9a-f]{14}\b|127\.0\.0\.1:2\d{4}\b/g;

/** Learns the actual ids and addresses of a documented output, by their order. */
export function learnNames(
  documented: readonly string[],
  actual: readonly string[],
  names: Map<string, string>,
): void {
  const distinct = (lines: readonly string[]) => [...new Set(lines.join("\n").match(NAMES))];
  const found = distinct(actual);
  for (const [index, name] of distinct(documented).entries()) {
    const other = found[index];
    if (other !== undefined && !names.has(name)) names.set(name, other);
  }
  const id = found.find((name) => !name.includes(":"));
  if (id !== undefined) names.set("ID", id);
}

/** Replaces names by those that were learnt. */
export function withNames(command: string, names: ReadonlyMap<string, string>): string {
  return command.replace(/\bID\b|\b[0-9a-f]{14}\b|127\.0\.0\.1:\d+\b/g, (name) => names.get(name) ?? name);
}
