import { randomBytes } from "node:crypto";
import { httpRequest } from "../http.ts";
import { type Settings, tokenOf } from "../settings.ts";

/** A trace must not make a command slow: sending it is given up after this time. */
const SEND_TIMEOUT_MS = 300;
const CLIENT = 3;
const OK = 1;
const ERROR = 2;

/** What a command's own span ends with. */
export interface SpanEnd {
  /** Why it failed: the fault's reason; absent on success. */
  readonly reason?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/**
 * The root span of a command: the trace begins where the person waits. Written without the SDK, whose loading would take longer than a start.
 */
export class RootSpan {
  readonly traceId = randomBytes(16).toString("hex");
  readonly #spanId = randomBytes(8).toString("hex");
  readonly #name: string;
  readonly #startedAt = nowNanos();
  #ended: (SpanEnd & { readonly at: bigint }) | undefined;

  /** @param name e.g. `hover machine start` */
  constructor(name: string) {
    this.#name = name;
  }

  /** What calls carry so that their spans become children of this one. */
  get traceparent(): string {
    return `00-${this.traceId}-${this.#spanId}-01`;
  }

  /** Ends the span. Later calls change nothing. */
  end(end: SpanEnd = {}): void {
    this.#ended ??= { ...end, at: nowNanos() };
  }

  /** Sends the span to the trace receiver, if there is one that answers at once. Never throws. */
  async send(settings: Settings): Promise<void> {
    this.end();
    try {
      await httpRequest(`http://${settings.traces.value}/v1/traces`, {
        token: tokenOf(settings),
        json: this.#request(),
        timeoutMs: SEND_TIMEOUT_MS,
      });
    } catch {
      // A trace without its root is still a trace.
    }
  }

  #request() {
    const { reason, attributes = {}, at = this.#startedAt } = this.#ended ?? {};
    const all = { ...attributes, ...(reason === undefined ? {} : { "windhover.error.reason": reason }) };
    const span = {
      traceId: this.traceId,
      spanId: this.#spanId,
      name: this.#name,
      kind: CLIENT,
      startTimeUnixNano: String(this.#startedAt),
      endTimeUnixNano: String(at),
      attributes: Object.entries(all).map(([key, value]) => ({ key, value: { stringValue: value } })),
      status: reason === undefined ? { code: OK } : { code: ERROR, message: reason },
    };
    const service = { key: "service.name", value: { stringValue: "hover" } };
    return {
      resourceSpans: [
        { resource: { attributes: [service] }, scopeSpans: [{ scope: { name: "hover" }, spans: [span] }] },
      ],
    };
  }
}

/** Wall-clock time that does not jump while a command runs, in nanoseconds. */
function nowNanos(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n;
}
