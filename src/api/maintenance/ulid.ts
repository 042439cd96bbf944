const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A ULID: 48 bits of time and 80 random ones, 26 characters that sort by time.
 *
 * @param random 80 random bits
 */
export function ulid(
  timeMs: number,
  random: Uint8Array = crypto.getRandomValues(new Uint8Array(10)),
): string {
  let value = BigInt(timeMs);
  for (const byte of random.subarray(0, 10)) value = (value << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = (DIGITS[Number(value & 31n)] ?? "0") + text;
    value >>= 5n;
  }
  return text;
}
