import { ProxyError } from "../../proxy-error.ts";
import type { Place, Target } from "../../route.ts";
import type { AttemptError } from "../backend/answer.ts";
import type { BodyTape } from "../body-tape.ts";

/** Attempts that may have reached a program: each could be what breaks it. */
const MAX_SILENT = 3;
/** Between attempts at a machine that refuses connections. */
const PAUSES_MS = [10, 20, 40, 50] as const;
/** Methods that may be sent again although a program may have heard them: RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Decides whether a request that failed is tried again. */
export class Retries {
  readonly #tape: BodyTape;
  readonly #method: string;
  readonly #avoid = new Set<string>();
  /** Last moment for another attempt, once one has failed. */
  #untilMs: number | undefined;
  #failures = 0;
  #silences = 0;

  constructor(tape: BodyTape, method: string) {
    this.#tape = tape;
    this.#method = method;
  }

  /** Machines that have refused the request. */
  get avoid(): ReadonlySet<string> {
    return this.#avoid;
  }

  /** Begins anew, for a request that goes elsewhere. */
  begin(): void {
    this.#avoid.clear();
    this.#failures = 0;
    this.#untilMs = undefined;
  }

  /** How long to wait before an attempt: no time at a machine that has not refused yet. */
  pauseMs({ machineId }: Place): number {
    if (!this.#avoid.has(machineId)) return 0;
    return PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length) - 1] ?? 0;
  }

  /** Notes that an attempt has failed. @throws ProxyError `UNREACHABLE` when it was the last */
  failed(error: AttemptError, target: Target, { machineId }: Place): void {
    const now = performance.now();
    this.#untilMs ??= now + target.service.wakeTimeoutMs;
    this.#failures += 1;
    if (error.stage === "silent") this.#silences += 1;
    if (!this.#mayRepeat(error) || now > this.#untilMs) {
      const message = `machine ${machineId} of ${target.app} ${whatOf(error)}`;
      throw new ProxyError("UNREACHABLE", message, { cause: error });
    }
    this.#avoid.add(machineId);
  }

  #mayRepeat({ stage }: AttemptError): boolean {
    if (!this.#tape.isReplayable || stage === "begun") return false;
    return stage === "refused" || (IDEMPOTENT.has(this.#method) && this.#silences < MAX_SILENT);
  }
}

function whatOf({ stage, cause }: AttemptError): string {
  if (stage === "refused") return "refuses connections";
  // Of Node's parser, and of its checks of what is to be sent.
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (!/^(?:HPE_|ERR_(?:HTTP2?_)?INVALID_|ERR_TRANSFER_)/.test(code)) return "has broken off the connection";
  return `has sent what is not well-formed HTTP, or cannot be passed on (${code})`;
}
