import type { IncomingMessage, ServerResponse } from "node:http";
import { Fault } from "../../lib/faults/fault.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import { httpStatus, send, sendJson, setHeaders } from "../reply.ts";
import type { TraceStore } from "../store/store.ts";
import type { Origin } from "../store/summary.ts";
import { encodeExportResponse, encodeStatus } from "./answers.ts";
import { readBody } from "./body.ts";
import { decodeSpans } from "./decode-spans.ts";
import { normalize } from "./normalize.ts";
import type { Normalized } from "./span-limits.ts";
import { spanLimit, storeSpans } from "./store-spans.ts";

/** Bodies in memory at a time: of services, of all clients and of the clients of one organisation. Further requests are refused. */
const PLACES = { services: 8, clients: 16, org: 4 };
/** Largest body in bytes, compressed or not. Sixteen of a client's largest spans have a MiB. */
const MAX_BODY_BYTES = { service: 8 * 1024 * 1024, client: 1024 * 1024 };

const PROTOBUF = "application/x-protobuf";

/** Serves OTLP/HTTP export requests, JSON or protobuf, each in its own encoding. */
export class Ingest {
  readonly #store: TraceStore;
  readonly #services = new Concurrency(PLACES.services, busy);
  readonly #clients = new Concurrency(PLACES.clients, busy);
  readonly #orgs = new Concurrency(PLACES.org, busy);

  constructor(store: TraceStore) {
    this.#store = store;
  }

  /** Stores the spans of a request whose sender has been authenticated. */
  async receive(incoming: IncomingMessage, response: ServerResponse, origin: Origin): Promise<void> {
    const isJson = isJsonRequest(incoming);
    const giveBack = this.#take(origin);
    try {
      const body = await readBody(incoming, MAX_BODY_BYTES[origin.kind]);
      const request = parse(body, isJson, spanLimit(origin));
      const { refused, why } = await storeSpans(this.#store, request, origin);
      if (isJson) sendJson(response, 200, refused === 0 ? {} : partialSuccess(refused, why));
      else send(response, 200, PROTOBUF, encodeExportResponse(refused, why));
    } finally {
      giveBack();
    }
  }

  /** Takes a place. A client that sends slowly keeps none of others. @throws Fault `BUSY` */
  #take(origin: Origin): () => void {
    if (origin.kind === "service") return this.#services.take("");
    const ofOrg = this.#orgs.take(origin.org);
    try {
      const ofClients = this.#clients.take("");
      return () => {
        ofOrg();
        ofClients();
      };
    } catch (err) {
      ofOrg();
      throw err;
    }
  }
}

function busy(): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "BUSY", "too many requests at once", {}, { retryAfterMs: 1_000 });
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

function parse(body: Buffer, isJson: boolean, limit: number): Normalized {
  try {
    return isJson ? normalize(JSON.parse(body.toString("utf8")), limit) : decodeSpans(body, limit);
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
