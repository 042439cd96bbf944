/** Neither a program nor Postgres can have a NUL character in a string. */
export const PLAIN = "must be Unicode text without NUL characters";
export const CONTROL = /\p{Cc}/u;

const MAX_SHOWN = 40;

/** Adds a violation of a field of the configuration unless a condition holds. */
export type Check = (holds: boolean, field: string, description: string) => void;

export function isPlain(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

export function bytes(text: string): number {
  return Buffer.byteLength(text);
}

/** Shortens text for an error message and replaces what is not printable. */
export function printable(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= MAX_SHOWN ? plain : `${plain.slice(0, MAX_SHOWN)}...`;
}
