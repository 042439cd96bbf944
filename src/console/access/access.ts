import type { TokenVerifier } from "../../lib/auth/auth.ts";
import { type Claims, expired, missing } from "../../lib/auth/claims.ts";
import { readableOrg } from "../../lib/auth/readable-org.ts";
import { requireGoodStanding } from "../../lib/auth/rpc-rules.ts";
import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Tickets } from "./tickets.ts";

/** Who asks. */
export interface Asker {
  readonly claims: Claims;
  /** Whose operations it sees; undefined: all. */
  readonly org: string | undefined;
  readonly expiresMs: number;
  /** Whether a cookie says so, which browsers send by themselves. */
  readonly isSession: boolean;
}

/** A link that opens a session. */
interface Link {
  readonly claims: Claims;
  /** Path and parameters of the page that it opens. */
  readonly view: string;
}

const LINK_LIFE_MS = 60_000;
const SESSION_LIFE_MS = 12 * 3_600_000;
const LINK_BOUNDS = { perHolder: 16, total: 1_024, lifeMs: LINK_LIFE_MS };
const SESSION_BOUNDS = { perHolder: 32, total: 1_024, lifeMs: SESSION_LIFE_MS };
const MAX_VIEW = 2_048;

/** Checks tokens and sessions. Sessions are in memory: a restart ends them. */
export class Access {
  readonly #verifier: TokenVerifier;
  readonly #clock: Clock;
  readonly #links: Tickets<Link>;
  readonly #sessions: Tickets<Claims>;

  constructor(verifier: TokenVerifier, clock: Clock) {
    this.#verifier = verifier;
    this.#clock = clock;
    this.#links = new Tickets(LINK_BOUNDS, clock);
    this.#sessions = new Tickets(SESSION_BOUNDS, clock);
  }

  /** Identifies the sender of a request by its token, or else by its session. @throws Fault UNAUTHENTICATED, PERMISSION_DENIED */
  async identify(authorization: string | undefined, session: string | undefined): Promise<Asker> {
    if (authorization !== undefined) return this.#ofToken(await this.#verifier.verify(authorization));
    if (session === undefined) throw missing();
    return this.#ofSession(session);
  }

  /** Whether a request that was let in still would be. */
  isStillAllowed(asker: Asker, session: string | undefined): boolean {
    try {
      const now = asker.isSession ? this.#ofSession(session ?? "") : this.#ofToken(asker.claims);
      return now.org === asker.org && !this.#verifier.lapse(asker.claims);
    } catch (err) {
      if (err instanceof Fault) return false;
      throw err;
    }
  }

  /** Makes a link for the holder of a token. Returns its code. @throws Fault INVALID_ARGUMENT, PERMISSION_DENIED */
  link({ claims }: Asker, view: string): string {
    requireGoodStanding(claims.org, this.#verifier.revocations);
    return this.#links.issue(claims.org, { claims, view: safeView(view) });
  }

  /** Takes a link: it works once. Returns the new session. @throws Fault UNAUTHENTICATED / `LINK_INVALID` */
  open(code: string): { readonly session: string; readonly view: string; readonly lifeMs: number } {
    const link = this.#links.take(code);
    if (!link) {
      const message = "the link has been used, or is older than a minute: hover console makes another";
      throw new Fault("UNAUTHENTICATED", "LINK_INVALID", message);
    }
    const { claims, view } = link;
    this.#check(claims);
    const session = this.#sessions.issue(claims.org, claims, claims.expiresMs);
    return { session, view, lifeMs: Math.min(claims.expiresMs - this.#clock.now(), SESSION_LIFE_MS) };
  }

  end(session: string): void {
    this.#sessions.take(session);
  }

  #ofToken(claims: Claims): Asker {
    const org = readableOrg(claims, this.#clock.now());
    return { claims, org, expiresMs: claims.expiresMs, isSession: false };
  }

  #ofSession(session: string): Asker {
    const found = this.#sessions.find(session);
    if (!found) {
      const message = "the session is over: hover console opens another";
      throw new Fault("UNAUTHENTICATED", "SESSION_OVER", message);
    }
    try {
      const org = this.#check(found.value);
      return { claims: found.value, org, expiresMs: found.untilMs, isSession: true };
    } catch (err) {
      this.#sessions.take(session);
      throw err;
    }
  }

  /** @returns whose operations the holder of a token sees @throws Fault when the token counts no more */
  #check(claims: Claims): string | undefined {
    const now = this.#clock.now();
    if (claims.expiresMs <= now) throw expired();
    const lapse = this.#verifier.lapse(claims);
    if (lapse) throw lapse;
    requireGoodStanding(claims.org, this.#verifier.revocations);
    return readableOrg(claims, now);
  }
}

/** Keeps a link from leading elsewhere. @throws Fault INVALID_ARGUMENT / `VIEW_INVALID` */
function safeView(view: string): string {
  if (view.length <= MAX_VIEW && /^\/(?:\?[!-~]*)?$/.test(view)) return view;
  throw new Fault(
    "INVALID_ARGUMENT",
    "VIEW_INVALID",
    "view must be / with the parameters of a query, if any",
  );
}
