import type { IncomingMessage, ServerResponse } from "node:http";
import { Fault } from "../lib/runtime/fault.ts";
import { MAX_CLIENT_SPANS_PER_REQUEST } from "./access.ts";
import type { TraceStore } from "./adapters/store.ts";
import { readBody } from "./body.ts";
import type { Origin } from "./domain/summary.ts";
import { MAX_SPANS_PER_REQUEST, normalize } from "./otlp/normalize.ts";
import { decodeExportRequest, encodeExportResponse, encodeStatus } from "./otlp/protobuf.ts";
import { httpStatus, send, sendJson, setHeaders } from "./reply.ts";

/** Bodies that are held at once; more are told to come back, so memory stays within a few times the largest body. */
const MAX_AT_ONCE = 8;

const PROTOBUF = "application/x-protobuf";

/** Takes OTLP/HTTP export requests, JSON or protobuf, and answers each in its own encoding. */
export class Ingest {
  readonly #store: TraceStore;
  #busy = 0;

  constructor(store: TraceStore) {
    this.#store = store;
  }

  /** Takes the spans of one request, of a writer that has been authenticated. */
  async receive(request: IncomingMessage, response: ServerResponse, origin: Origin): Promise<void> {
    const isJson = encodingOf(request) === "json";
    if (this.#busy >= MAX_AT_ONCE) {
      throw new Fault("RESOURCE_EXHAUSTED", "BUSY", "too many requests at once", {}, { retryAfterMs: 1_000 });
    }
    this.#busy += 1;
    try {
      const body = await readBody(request);
      const limit = origin.kind === "client" ? MAX_CLIENT_SPANS_PER_REQUEST : MAX_SPANS_PER_REQUEST;
      const { spans, rejected, problems } = normalize(isJson ? parseJson(body) : parseProtobuf(body), limit);
      const kept = this.#keep(spans, origin);
      const lost = rejected + kept.dropped;
      const why = [...problems, ...kept.problems].join("; ");
      if (isJson) sendJson(response, 200, lost === 0 ? {} : partialSuccess(lost, why));
      else send(response, 200, PROTOBUF, encodeExportResponse(lost, why));
    } finally {
      this.#busy -= 1;
    }
  }

  #keep(spans: Parameters<TraceStore["add"]>[0], origin: Origin) {
    try {
      return this.#store.add(spans, origin);
    } catch (cause) {
      // Disk full, for instance. OTLP senders try again later.
      const extra = { cause, retryAfterMs: 5_000 };
      throw new Fault("UNAVAILABLE", "STORE_UNAVAILABLE", "the spans could not be stored", {}, extra);
    }
  }
}

/** Answers an export request that failed, in its own encoding, with the `google.rpc.Status` that OTLP asks for. */
export function refuseExport(request: IncomingMessage, response: ServerResponse, fault: Fault): void {
  setHeaders(response, fault);
  const text = `${fault.reason}: ${fault.message}`;
  const code = GRPC_CODE[fault.code] ?? 13;
  if (request.headers["content-type"]?.startsWith(PROTOBUF)) {
    send(response, httpStatus(fault), PROTOBUF, encodeStatus(code, text));
  } else {
    sendJson(response, httpStatus(fault), { code, message: text });
  }
}

const GRPC_CODE: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 3,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
};

function encodingOf(request: IncomingMessage): "json" | "protobuf" {
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return "json";
  if (type === PROTOBUF) return "protobuf";
  const said = type === "" || type === undefined ? "nothing" : type;
  throw new Fault(
    "UNIMPLEMENTED",
    "CONTENT_TYPE_UNKNOWN",
    `Content-Type must be application/json or ${PROTOBUF}, not ${said}`,
    { content_type: said },
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new Fault("INVALID_ARGUMENT", "BODY_NOT_JSON", "the body is not JSON", {}, { cause });
  }
}

function parseProtobuf(body: Buffer): unknown {
  try {
    return decodeExportRequest(body);
  } catch (cause) {
    const message = "the body is not an ExportTraceServiceRequest";
    throw new Fault("INVALID_ARGUMENT", "BODY_NOT_PROTOBUF", message, {}, { cause });
  }
}

function partialSuccess(rejected: number, message: string) {
  // OTLP/JSON writes 64-bit numbers as text.
  return { partialSuccess: { rejectedSpans: String(rejected), errorMessage: message } };
}
