import { constants } from "node:os";

const NUMBERS: Readonly<Record<string, number | undefined>> = constants.signals;

/** Names by number. Of two names for one number the first one listed is the usual one. */
const NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/** Returns the number of a signal by its name, with or without `SIG`, or by its number; undefined when Linux has none such. */
export function signalNumber(name: string): number | undefined {
  if (/^\d+$/.test(name)) {
    const number = Number(name);
    return number >= 1 && number <= 64 ? number : undefined;
  }
  return NUMBERS[name.startsWith("SIG") ? name : `SIG${name}`];
}

/** Returns the name of a signal; `SIG<number>` for real-time signals, which have none. */
export function signalName(number: number): string {
  return NAMES.get(number) ?? `SIG${number}`;
}
