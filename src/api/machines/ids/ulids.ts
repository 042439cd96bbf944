import { decodeTime, isValid } from "ulid";

/** Returns when a ULID was made, in milliseconds since the epoch; undefined for any other text. */
export function timeOfUlid(text: string): number | undefined {
  // Its first character has only three bits: a larger one would be after the year 10889.
  return isValid(text) && text.charAt(0) <= "7" ? decodeTime(text) : undefined;
}
