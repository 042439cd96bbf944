import { constants } from "node:os";

/** Number of a signal by its name; undefined for none of Linux's. */
export function signalNumber(name: string): number | undefined {
  if (/^\d+$/.test(name)) {
    const number = Number(name);
    return number >= 1 && number <= 64 ? number : undefined;
  }
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  // Typed by the names of one platform; looked up by any text here.
  return (constants.signals as Readonly<Record<string, number>>)[full];
}

/** Name of a signal by its number; `SIG<number>` for real-time signals, which have none. */
export function signalName(number: number): string {
  return NAMES.get(number) ?? `SIG${number}`;
}

/** Some numbers have two names; the first one listed is the usual one. */
const NAMES = new Map(
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);
