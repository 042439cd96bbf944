import { randomBytes } from "node:crypto";
import { httpRequest } from "./http.ts";
import { type Settings, tokenOf } from "./settings.ts";

/** Longest wait for the trace receiver: a trace must not make a command slow. */
const SEND_TIMEOUT_MS = 300;
const KIND_CLIENT = 3;
const STATUS_OK = 1;
const STATUS_ERROR = 2;

/** The root span of a command, without the SDK, whose loading takes longer than a start. */
export class RootSpan {
  readonly traceId = randomBytes(16).toString("hex");
  readonly #spanId = randomBytes(8).toString("hex");
  readonly #name: string;
  readonly #startedAt = nowNanos();
  readonly #attributes: Record<string, string> = {};
  #endedAt: bigint | undefined;
  #reason: string | undefined;

  /** @param name e.g. `hover machine start` */
  constructor(name: string) {
    this.#name = name;
  }

  /** The header that makes spans of calls children of this one. */
  get traceparent(): string {
    return `00-${this.traceId}-${this.#spanId}-01`;
  }

  setMachine(id: string): void {
    this.#attributes["windhover.machine.id"] = id;
  }

  /**
   * Ends the span. Later calls change nothing.
   *
   * @param reason of the fault that the command failed with; undefined on success
   */
  end(reason?: string): void {
    if (this.#endedAt !== undefined) return;
    this.#endedAt = nowNanos();
    this.#reason = reason;
    if (reason !== undefined) this.#attributes["windhover.error.reason"] = reason;
  }

  /** Ends the span and sends it to the trace receiver, if that answers in time. Never throws. */
  async send(settings: Settings): Promise<void> {
    this.end();
    const options = { token: tokenOf(settings), json: this.#request(), timeoutMs: SEND_TIMEOUT_MS };
    // A trace without its root is still a trace.
    await httpRequest(`http://${settings.traces.value}/v1/traces`, options).catch(() => undefined);
  }

  #request() {
    const span = {
      traceId: this.traceId,
      spanId: this.#spanId,
      name: this.#name,
      kind: KIND_CLIENT,
      startTimeUnixNano: String(this.#startedAt),
      endTimeUnixNano: String(this.#endedAt),
      attributes: Object.entries(this.#attributes).map(([key, text]) => ({
        key,
        value: { stringValue: text },
      })),
      status:
        this.#reason === undefined ? { code: STATUS_OK } : { code: STATUS_ERROR, message: this.#reason },
    };
    const service = { key: "service.name", value: { stringValue: "hover" } };
    const scopeSpans = [{ scope: { name: "hover" }, spans: [span] }];
    return { resourceSpans: [{ resource: { attributes: [service] }, scopeSpans }] };
  }
}

/** Wall-clock time in nanoseconds that does not jump while a command runs. */
function nowNanos(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1_000)) * 1_000n;
}
