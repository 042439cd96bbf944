import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Fault } from "../../lib/faults/fault.ts";

/** Largest body in bytes, compressed or not. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const unpack = promisify(gunzip);

/**
 * Reads the body of a request and decompresses it.
 *
 * @throws Fault `BODY_TOO_LARGE` (OUT_OF_RANGE), `ENCODING_UNKNOWN` (UNIMPLEMENTED) or
 *   `BODY_NOT_GZIP` (INVALID_ARGUMENT)
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new Fault("UNIMPLEMENTED", "ENCODING_UNKNOWN", "Content-Encoding must be gzip or identity", {
      encoding,
    });
  }
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const buffer: Buffer = chunk;
    bytes += buffer.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(buffer);
  }
  const body = Buffer.concat(chunks, bytes);
  return encoding === "gzip" ? await unpacked(body) : body;
}

async function unpacked(body: Buffer): Promise<Buffer> {
  try {
    return await unpack(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") throw tooLarge();
    throw new Fault("INVALID_ARGUMENT", "BODY_NOT_GZIP", "the body is not gzip", {}, { cause });
  }
}

function tooLarge(): Fault {
  const max = String(MAX_BODY_BYTES);
  return new Fault("OUT_OF_RANGE", "BODY_TOO_LARGE", `a body may have at most ${max} bytes, unpacked too`, {
    max_bytes: max,
  });
}
