import type { IncomingMessage, ServerResponse } from "node:http";
import { Fault } from "../../lib/faults/fault.ts";
import { MAX_CLIENT_SPANS_PER_REQUEST } from "../access.ts";
import { httpStatus, send, sendJson, setHeaders } from "../reply.ts";
import type { TraceStore } from "../store/store.ts";
import type { Origin } from "../store/summary.ts";
import { readBody } from "./body.ts";
import { MAX_SPANS_PER_REQUEST, normalize } from "./normalize.ts";
import { decodeExportRequest, encodeExportResponse, encodeStatus } from "./protobuf.ts";

/** Bodies in memory at a time; further requests are refused for a second. */
const MAX_CONCURRENT = 8;

const PROTOBUF = "application/x-protobuf";

/** Serves OTLP/HTTP export requests, JSON or protobuf, each in its own encoding. */
export class Ingest {
  readonly #store: TraceStore;
  #busy = 0;

  constructor(store: TraceStore) {
    this.#store = store;
  }

  /** Stores the spans of a request whose sender has been authenticated. */
  async receive(request: IncomingMessage, response: ServerResponse, origin: Origin): Promise<void> {
    const isJson = isJsonRequest(request);
    if (this.#busy >= MAX_CONCURRENT) {
      throw new Fault("RESOURCE_EXHAUSTED", "BUSY", "too many requests at once", {}, { retryAfterMs: 1_000 });
    }
    this.#busy += 1;
    try {
      const body = await readBody(request);
      const limit = origin.kind === "client" ? MAX_CLIENT_SPANS_PER_REQUEST : MAX_SPANS_PER_REQUEST;
      const { spans, rejected, problems } = normalize(parse(body, isJson), limit);
      const added = this.#add(spans, origin);
      const refused = rejected + added.dropped;
      const why = [...problems, ...added.problems].join("; ");
      if (isJson) sendJson(response, 200, refused === 0 ? {} : partialSuccess(refused, why));
      else send(response, 200, PROTOBUF, encodeExportResponse(refused, why));
    } finally {
      this.#busy -= 1;
    }
  }

  #add(spans: Parameters<TraceStore["add"]>[0], origin: Origin) {
    try {
      return this.#store.add(spans, origin);
    } catch (cause) {
      // OTLP senders try again later.
      const extra = { cause, retryAfterMs: 5_000 };
      throw new Fault("UNAVAILABLE", "STORE_UNAVAILABLE", "the spans could not be stored", {}, extra);
    }
  }
}

/** Answers an export request that failed with a `google.rpc.Status`, in its own encoding. */
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

function isJsonRequest(request: IncomingMessage): boolean {
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json" || type === PROTOBUF) return type !== PROTOBUF;
  const given = type || "none";
  const message = `Content-Type must be application/json or ${PROTOBUF}, not ${given}`;
  throw new Fault("UNIMPLEMENTED", "CONTENT_TYPE_UNKNOWN", message, { content_type: given });
}

function parse(body: Buffer, isJson: boolean): unknown {
  try {
    return isJson ? JSON.parse(body.toString("utf8")) : decodeExportRequest(body);
  } catch (cause) {
    const reason = isJson ? "BODY_NOT_JSON" : "BODY_NOT_PROTOBUF";
    const message = `the body is not ${isJson ? "JSON" : "an ExportTraceServiceRequest"}`;
    throw new Fault("INVALID_ARGUMENT", reason, message, {}, { cause });
  }
}

function partialSuccess(rejected: number, message: string) {
  // OTLP/JSON writes 64-bit numbers as text.
  return { partialSuccess: { rejectedSpans: String(rejected), errorMessage: message } };
}
