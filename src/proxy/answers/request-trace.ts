import { SpanStatusCode } from "@opentelemetry/api";
import type { Connection } from "../connection.ts";
import type { Target } from "../route.ts";
import type { RequestRecord } from "./request-record.ts";
import { attributesOf, WaitTrace } from "./wait-trace.ts";

/** The spans of one request. */
export class RequestTrace extends WaitTrace {
  /** @param parent what the client sent as `traceparent`; empty: nothing */
  constructor(parent: string, method: string) {
    super("proxy.request", parent, { "http.request.method": method });
  }

  end(record: RequestRecord): void {
    this.failWake(record, record.error ?? "CLIENT_LEFT");
    this.span.setAttributes({
      ...attributesOf(record),
      "server.address": record.hostname,
      "url.path": record.path,
      "network.protocol.version": record.version,
      "http.response.status_code": record.status,
      ...(record.error === undefined ? {} : { "error.type": record.error }),
    });
    // Only those of the server count, as HTTP's conventions say.
    if (record.status >= 500)
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: record.error ?? "" });
    this.span.end();
  }
}

/** The spans of one connection that passes through as it is. */
export class ConnectionTrace extends WaitTrace {
  readonly #target: Target;

  constructor({ port, isTls }: Connection, target: Target) {
    super("proxy.connection", "", {
      "network.transport": "tcp",
      "server.port": port,
      "tls.established": isTls,
    });
    this.#target = target;
  }

  /** The connection is made: a wake is over. */
  connected(machineId: string): void {
    this.answered({ ...this.#target, machineId });
  }

  /** @param error code of what has ended it before it was made; undefined: it was made */
  end(machineId: string, error: string | undefined): void {
    const found = { ...this.#target, machineId };
    this.failWake(found, error ?? "CLIENT_LEFT");
    this.span.setAttributes(attributesOf(found));
    if (error !== undefined) {
      this.span.setAttribute("error.type", error);
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
  }
}
