/** `sha256:` and 64 lower-case hex digits. Made only by {@link parseDigest} and by hashing. */
export type Digest = `sha256:${string}`;

/** Returns `text` as a digest, or undefined when it is not a sha256 digest. */
export function parseDigest(text: string): Digest | undefined {
  // The pattern is exactly what the type promises.
  return /^sha256:[0-9a-f]{64}$/.test(text) ? (text as Digest) : undefined;
}

export function digestOf(hex: string): Digest {
  return `sha256:${hex}`;
}

/** Returns the 64 hex digits, for file names. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}
