import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Fault } from "../../lib/faults/fault.ts";

const unpack = promisify(gunzip);

/**
 * Reads the body of a request and decompresses it.
 *
 * @param maxBytes compressed or not
 * @throws Fault `BODY_TOO_LARGE` (OUT_OF_RANGE), `ENCODING_UNKNOWN` (UNIMPLEMENTED) or
 *   `BODY_NOT_GZIP` (INVALID_ARGUMENT)
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = (request.headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip") {
    throw new Fault("UNIMPLEMENTED", "ENCODING_UNKNOWN", "Content-Encoding must be gzip or identity", {
      encoding,
    });
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const buffer: Buffer = chunk;
    bytes += buffer.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(buffer);
  }
  const body = Buffer.concat(chunks, bytes);
  return encoding === "gzip" ? await unpacked(body, maxBytes) : body;
}

async function unpacked(body: Buffer, maxBytes: number): Promise<Buffer> {
  try {
    return await unpack(body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE")
      throw tooLarge(maxBytes);
    throw new Fault("INVALID_ARGUMENT", "BODY_NOT_GZIP", "the body is not gzip", {}, { cause });
  }
}

function tooLarge(maxBytes: number): Fault {
  const max = String(maxBytes);
  return new Fault("OUT_OF_RANGE", "BODY_TOO_LARGE", `a body may have at most ${max} bytes, unpacked too`, {
    max_bytes: max,
  });
}
