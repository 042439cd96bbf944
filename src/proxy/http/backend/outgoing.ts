import type { FlatHeaders } from "../exchange.ts";

/** A request as a machine gets it. */
export interface Outgoing {
  readonly method: string;
  readonly path: string;
  /** With `host`, without what frames the body. */
  readonly headers: FlatHeaders;
  /** Length of the body in bytes, `chunked` when it is not known, undefined without a body. */
  readonly length: number | "chunked" | undefined;
  /** What the client wants to change to. Empty: nothing. */
  readonly upgrade: string;
  /** Trailers, once the body has ended. */
  trailers(): FlatHeaders;
}

/** Tells when a request must end, also after the head of its answer. */
export interface Ending {
  readonly hasEnded: boolean;
  /** Why. */
  readonly reason: unknown;
  /** Calls back once, at once when it has ended already. Disposing of the answer takes that back. */
  onEnd(fn: () => void): Disposable;
}

/** Hears of informational answers before the answer itself. */
export type OnInformation = (status: number, headers: FlatHeaders) => void;
