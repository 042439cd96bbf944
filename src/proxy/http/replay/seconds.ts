const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** Reads a time of headers in milliseconds: `5`, `5s`, `500ms`, `1m`. A bare number is seconds. @throws Error */
export function readSeconds(text: string): number {
  const [, number, unit = "s"] = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(text.trim()) ?? [];
  if (number === undefined) throw new Error(`"${text.slice(0, 32)}" is not a time, such as 5s`);
  return Number(number) * (UNITS[unit] ?? 1_000);
}
