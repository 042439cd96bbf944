import type { IncomingMessage } from "node:http";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { isObject, type Json, type JsonObject } from "../convert/json.ts";
import { REST_LIMITS } from "../requests/limits.ts";

const MAX_REASON = 160;

/** Reads bodies, and bounds the memory of incomplete bodies of each organisation. */
export class Bodies {
  readonly #unfinished = new Map<string, number>();

  /** @throws Fault BODY_TOO_LARGE, TOO_MUCH_UNFINISHED, ENCODING_NOT_SUPPORTED */
  async read(request: IncomingMessage, org: string): Promise<Buffer> {
    const { headers } = request;
    const encoding = headers["content-encoding"]?.toLowerCase() ?? "identity";
    if (encoding !== "identity" && encoding !== "") throw notSupported(encoding);
    if (Number(headers["content-length"] ?? 0) > REST_LIMITS.bodyBytes) throw tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    let counted = 0;
    try {
      // Leaving the loop must not close the connection: an answer follows.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > REST_LIMITS.bodyBytes) throw tooLarge();
        this.#add(org, chunk.length);
        counted += chunk.length;
        if ((this.#unfinished.get(org) ?? 0) > REST_LIMITS.unfinishedBytes) throw tooMuch(org);
        chunks.push(chunk);
      }
    } finally {
      this.#add(org, -counted);
    }
    return Buffer.concat(chunks);
  }

  #add(org: string, bytes: number): void {
    const left = (this.#unfinished.get(org) ?? 0) + bytes;
    if (left > 0) this.#unfinished.set(org, left);
    else this.#unfinished.delete(org);
  }
}

/**
 * Parses a body as JSON, whatever its content type. No body, `null` and `[]` are an empty object.
 *
 * @throws Fault INVALID_FIELDS
 */
export function parseBody(bytes: Buffer): JsonObject {
  const value = parse(bytes);
  if (value === null || value === "" || (Array.isArray(value) && value.length === 0)) return {};
  if (isObject(value)) return value;
  const kind = Array.isArray(value) ? "array" : typeof value;
  throw invalid([{ field: "body", description: `must be a JSON object, not ${kind}` }]);
}

/** Parses a body that is optional: anything but an object is an empty object. */
export function parseAnyBody(bytes: Buffer): JsonObject {
  try {
    return parseBody(bytes);
  } catch (err) {
    if (err instanceof Fault) return {};
    throw err;
  }
}

function parse(bytes: Buffer): Json {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.trim() === "" ? null : JSON.parse(text);
  } catch (err) {
    const why = err instanceof Error ? err.message.slice(0, MAX_REASON) : "";
    throw invalid([{ field: "body", description: `is not JSON: ${why}` }]);
  }
}

function tooLarge(): Fault {
  const limit = String(REST_LIMITS.bodyBytes);
  return new Fault("INVALID_ARGUMENT", "BODY_TOO_LARGE", `the body may have at most ${limit} bytes`, {
    limit,
  });
}

function tooMuch(org: string): Fault {
  const limit = String(REST_LIMITS.unfinishedBytes);
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MUCH_UNFINISHED",
    `organisation ${org} has bodies of more than ${limit} bytes under way; let some arrive first`,
    { org, limit },
    { retryAfterMs: 1_000 },
  );
}

function notSupported(encoding: string): Fault {
  const message = `bodies must not be compressed, and this one is by ${JSON.stringify(encoding.slice(0, 32))}`;
  return new Fault("INVALID_ARGUMENT", "ENCODING_NOT_SUPPORTED", message);
}
