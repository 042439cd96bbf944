import { UsageError } from "../../../session/faults/usage-error.ts";

/**
 * Splits a line into words as a shell does, quotes and backslashes included, expanding nothing:
 * what `--entrypoint` takes.
 *
 * @throws UsageError for a quote that is not closed
 */
export function commandLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i] ?? "";
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else if (char === "\\" && quote === '"' && /["\\$`]/.test(line[i + 1] ?? "")) word += line[++i] ?? "";
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + (char === "\\" ? (line[++i] ?? "") : char);
    }
  }
  if (quote !== undefined) throw new UsageError(`A quote (${quote}) is not closed in: ${line}`);
  if (word !== undefined) words.push(word);
  return words;
}
