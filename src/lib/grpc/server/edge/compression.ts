import { gunzipSync, inflateSync } from "node:zlib";

/** Encodings of messages that grpc-js knows, besides none. */
const DECODERS = { gzip: gunzipSync, deflate: inflateSync } as const;

export type Encoding = keyof typeof DECODERS;

/** In front of each message: whether it is compressed, and its length. */
export const PREFIX_BYTES = 5;

export function encodingOf(header: string | string[] | undefined): Encoding | undefined {
  return header === "gzip" || header === "deflate" ? header : undefined;
}

/**
 * Has `decompress` do what grpc-js (1.14.7) does in a private method of a call, which takes 8 MiB from each compressed message of
 * a few KiB, any number of them at once.
 *
 * @param decompress takes a message without its prefix; what it throws ends the call
 */
export function replaceDecompression(call: object, decompress: (message: Buffer) => Buffer): void {
  if (typeof Reflect.get(call, METHOD) !== "function") throw new Error(`grpc-js has no ${METHOD} any more`);
  Reflect.set(call, METHOD, async (message: Buffer, encoding: string) => {
    const content = message.subarray(PREFIX_BYTES);
    return encoding === "identity" ? content : decompress(content);
  });
}

const METHOD = "decompressMessage";

/** Returns undefined when there are more than `maxBytes`. @throws Error when it is not compressed so */
export function decompressed(message: Buffer, encoding: Encoding, maxBytes: number): Buffer | undefined {
  try {
    // At most a MiB of an organisation. In another thread many calls would be decompressed at once.
    return DECODERS[encoding](message, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (err) {
    if (err instanceof Error && "code" in err && err.code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw err;
  }
}
