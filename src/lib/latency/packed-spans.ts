import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** A span as the receiver stored it. */
export interface StoredSpan {
  /** A `Span` as JSON. */
  readonly json: string;
  /** Organisation of the client that sent it; undefined: a service did. */
  readonly clientOrg: string | undefined;
}

/** Spans of a trace, unpacked. Traces have at most 8 MiB. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Compresses the spans of a trace into one blob. */
export function packSpans(spans: readonly StoredSpan[]): Uint8Array {
  // JSON has no bare line breaks, and names of organisations no blanks.
  return zstdCompressSync(spans.map(({ json, clientOrg }) => `${clientOrg ?? ""} ${json}`).join("\n"));
}

/** Reads what {@link packSpans} wrote, in its order. */
export function unpackSpans(blob: Uint8Array): StoredSpan[] {
  const text = zstdDecompressSync(blob, { maxOutputLength: MAX_BYTES }).toString("utf8");
  return text === "" ? [] : text.split("\n").map(toSpan);
}

function toSpan(line: string): StoredSpan {
  const blank = line.indexOf(" ");
  return { json: line.slice(blank + 1), clientOrg: blank <= 0 ? undefined : line.slice(0, blank) };
}
