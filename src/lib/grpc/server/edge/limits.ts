import type { ConnectionLimits } from "../../../limits/connection-limiter.ts";
import type { Pace } from "./pace/credit.ts";
import { DEFAULT_REFUSALS, type RefusalOptions } from "./pace/refusal-pace.ts";

/** Bounds of callers, before and after they have shown a token. */
export interface EdgeLimits {
  readonly connections: ConnectionLimits;
  /** Closes a connection that has shown no token and has no stream for so long. */
  readonly newIdleMs: number;
  /** Closes a connection that has shown no token at this age. */
  readonly newMaxAgeMs: number;
  /** Closes a connection that has shown no token after so many calls that were refused. */
  readonly newRefusals: number;
  /** Streams of a connection that has shown no token, of an organisation's, and of a service's. */
  readonly streams: { readonly fresh: number; readonly org: number; readonly service: number };
  /** Calls that a connection may break off: one that has shown no token, and an organisation's. */
  readonly resets: { readonly fresh: Pace; readonly org: Pace };
  /** Of all callers but services, before a request is read. */
  readonly refusals: RefusalOptions;
  /** Bytes of a request's headers. Tokens have at most 4 KiB. */
  readonly headerBytes: number;
  /** Of calls without a token, which only open methods take. */
  readonly open: OpenLimits;
  /** Bytes of a request of an organisation. */
  readonly requestBytes: number;
  /**
   * Bytes of requests that an organisation has begun to send and not finished; of large ones, until
   * they are answered.
   */
  readonly unfinishedBytes: number;
  /** Bytes of answers that an organisation has not read. */
  readonly unreadBytes: number;
  /** A request up to this size counts no more when it is whole. Twice what a valid one has. */
  readonly smallBytes: number;
}

/** Bounds of calls without a token. As a pace: of one connection. */
export interface OpenLimits extends Pace {
  readonly messageBytes: number;
  readonly timeoutMs: number;
  /** A health watch has no end of its own. */
  readonly watchTimeoutMs: number;
  readonly calls: number;
  readonly watches: number;
  readonly watchesPerAddress: number;
}

export const DEFAULT_EDGE_LIMITS: EdgeLimits = {
  connections: { total: 4_096, perAddress: 512, newTotal: 512, newPerAddress: 64 },
  newIdleMs: 10_000,
  newMaxAgeMs: 300_000,
  newRefusals: 64,
  streams: { fresh: 32, org: 2_048, service: 10_000 },
  // nghttp2's own for strangers; of organisations, whatever they may have under way, at once.
  resets: { fresh: { burst: 1_000, perSecond: 33 }, org: { burst: 2_048, perSecond: 200 } },
  refusals: DEFAULT_REFUSALS,
  headerBytes: 16 * 1_024,
  open: {
    messageBytes: 4_096,
    timeoutMs: 10_000,
    burst: 100,
    perSecond: 50,
    watchTimeoutMs: 300_000,
    calls: 256,
    watches: 128,
    watchesPerAddress: 32,
  },
  requestBytes: 1_024 * 1_024,
  unfinishedBytes: 4 * 1_024 * 1_024,
  // Ten pages of the largest lists.
  unreadBytes: 32 * 1_024 * 1_024,
  smallBytes: 128 * 1_024,
};
