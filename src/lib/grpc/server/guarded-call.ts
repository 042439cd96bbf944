import { status as CODES, type Metadata } from "@grpc/grpc-js";
import type { AuditSink } from "../../audit/audit-entry.ts";
import { REFUSAL_CODES } from "../../audit/refusals.ts";
import type { TokenVerifier } from "../../auth/auth.ts";
import type { Claims } from "../../auth/claims.ts";
import {
  type AppLookup,
  admit,
  admitRequest,
  fieldOf,
  lapseOf,
  type Recheck,
  type RpcRule,
  type RpcRules,
} from "../../auth/rpc-rules.ts";
import { Fault } from "../../faults/fault.ts";
import { codeName, reasonOf } from "../status.ts";

/** The parts that check calls, and the audit log of a server. */
export interface GuardOptions {
  readonly verifier: TokenVerifier;
  /** Of all methods. Absent: only tokens are checked. */
  readonly rules?: RpcRules;
  readonly audit?: AuditSink;
  /** For tokens that are restricted to apps. Absent: those may make no call that names a machine. */
  readonly appOf?: AppLookup;
}

/** Needs a token, and no scope. */
const BUILT_IN = /^\/grpc\.reflection\./;

/** Checks one call against its rule, and writes it to the audit log. */
export class GuardedCall {
  readonly #options: GuardOptions;
  readonly #path: string;
  readonly #peer: string;
  readonly #rule: RpcRule | undefined;
  #claims: Claims | undefined;
  #object = "";
  #org = "";
  #isOver = false;
  #hasRequest = false;
  #recheck: Recheck | undefined;

  /** @param path of the method, with a leading slash */
  constructor(options: GuardOptions, path: string, peer: string) {
    this.#options = options;
    this.#path = path;
    this.#peer = peer;
    this.#rule = options.rules?.get(path);
  }

  /** Of the method, with a leading slash. */
  get path(): string {
    return this.#path;
  }

  /** Whether it ends with the right to make it. What changes something is finished, as it began. */
  get endsEarly(): boolean {
    return !this.#isAudited || this.#rule?.isSession === true;
  }

  get #isAudited(): boolean {
    return this.#rule?.isAudited === true;
  }

  /** @throws Fault when the caller may not make this call, whatever its request */
  admit(claims: Claims): void {
    this.#claims = claims;
    if (!this.#options.rules || BUILT_IN.test(this.#path)) return;
    if (!this.#rule) throw noRule(this.#path);
    admit(claims, this.#rule, this.#options.verifier.revocations);
  }

  /** Returns why an admitted caller may no longer make this call; undefined while it may. */
  lapse(): Fault | undefined {
    const [claims, rule] = [this.#claims, this.#rule];
    if (!claims) return undefined;
    const { verifier } = this.#options;
    const lapse = verifier.lapse(claims) ?? (rule && lapseOf(claims, rule, verifier.revocations));
    return lapse ?? (this.#recheck && refusalOf(this.#recheck));
  }

  /**
   * Checks the first message of a call, which names what a stream is about. With a promise, the call goes on when it resolves.
   *
   * @throws Fault when the caller may not make this request
   */
  request(message: unknown): Promise<void> | undefined {
    const rule = this.#rule;
    if (!rule || !this.#claims || this.#hasRequest) return undefined;
    this.#hasRequest = true;
    if (rule.object !== undefined) this.#object = fieldOf(message, rule.object);
    if (rule.org !== undefined) this.#org = fieldOf(message, rule.org);
    const { verifier, appOf } = this.#options;
    const admitted = admitRequest(this.#claims, rule, message, verifier.revocations, Date.now(), appOf);
    if (admitted === undefined) return undefined;
    if (typeof admitted !== "function") return this.#keep(admitted);
    this.#recheck = admitted;
    return undefined;
  }

  async #keep(admitted: Promise<Recheck | undefined>): Promise<void> {
    this.#recheck = await admitted;
  }

  response(message: unknown): void {
    if (this.#rule?.made !== undefined) this.#object = fieldOf(message, this.#rule.made) || this.#object;
  }

  /** Writes the call to the audit log if it belongs there. Only the first end counts. */
  ended(code: number, metadata: Metadata | null | undefined, traceId: string): void {
    const { audit } = this.#options;
    if (this.#isOver || !audit) return;
    this.#isOver = true;
    const name = code === CODES.OK ? "OK" : codeName(code);
    if (!this.#isAudited && !REFUSAL_CODES.has(name)) return;
    audit.record({
      timeMs: Date.now(),
      method: this.#path.slice(1),
      action: this.#rule?.action ?? "",
      kind: this.#rule?.kind ?? "",
      object: this.#object,
      subject: this.#claims?.subject ?? "",
      org: this.#claims?.org || this.#org,
      token: this.#claims?.ids.join(" ") ?? "",
      code: name,
      reason: code === CODES.OK || !metadata ? "" : reasonOf(metadata),
      traceId,
      client: this.#peer,
      count: 1,
    });
  }
}

/** Returns why a restriction by time no longer holds; undefined while it does. */
function refusalOf(recheck: Recheck): Fault | undefined {
  try {
    recheck(Date.now());
    return undefined;
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
}

function noRule(path: string): Fault {
  const message = `no rule says who may call ${path.slice(1)}`;
  return new Fault("PERMISSION_DENIED", "METHOD_NOT_ALLOWED", message, { method: path.slice(1) });
}
