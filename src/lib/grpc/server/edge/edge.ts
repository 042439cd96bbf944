import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { Claims } from "../../../auth/claims.ts";
import { Semaphore } from "../../../limits/semaphore.ts";
import { ArrivingCall, type UnfinishedBytes } from "./arriving-call.ts";
import { encodingOf } from "./compression.ts";
import { type Connection, Connections } from "./connections.ts";
import type { EdgeLimits } from "./limits.ts";
import { privateField, replaceListeners } from "./listeners.ts";
import { OpenCalls } from "./open-calls.ts";
import { RefusalPace } from "./pace/refusal-pace.ts";
import { type Answer, UnreadAnswers } from "./unread-answers.ts";

const SWEEP_MS = 1_000;
/** Tokens that are verified at a time: one thread does the work of most. */
const VERIFICATIONS = 8;
const NEVER = new AbortController().signal;

/** Takes a call's share of what its organisation may have. @throws Fault when none is left */
export type TakeShare = (claims: Claims, path: string) => (() => void) | undefined;

export interface EdgeOptions {
  readonly limits: EdgeLimits;
  /** Whether a method, by its path, takes calls without a token. */
  isOpen(path: string): boolean;
  /** Whether callers have to show a token at all. */
  readonly asksForTokens: boolean;
  readonly takeShare?: TakeShare | undefined;
}

/** A call whose headers have come. */
export interface Arrival {
  readonly call: ArrivingCall;
  readonly connection: Connection | undefined;
}

/**
 * Stands between the sockets of a server and grpc-js, which would read 8 MiB of every call of everybody. Bounds
 * connections, and what callers can take before and after they have shown a token. Reasons: docs/adr/0018-edge.md.
 */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #connections: Connections;
  readonly #openCalls: OpenCalls;
  readonly #unfinished: UnfinishedBytes = new Map();
  readonly #refusals: RefusalPace;
  readonly #unread: UnreadAnswers;
  readonly #verifications = new Semaphore({
    permits: VERIFICATIONS,
    maxWaiting: Number.POSITIVE_INFINITY,
    full: () => new Error("never"),
  });
  #arriving: Arrival | undefined;

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#unread = new UnreadAnswers(options.limits.unreadBytes);
    this.#refusals = new RefusalPace(() => performance.now(), options.limits.refusals);
    this.#connections = new Connections(options.limits);
    this.#openCalls = new OpenCalls(options.limits.open);
  }

  /** The call of which grpc-js is being told: it makes the call's interceptor meanwhile. */
  get arriving(): Arrival | undefined {
    return this.#arriving;
  }

  /** Sets what HTTP/2 itself bounds. Call it before the server listens. */
  prepare(server: Server): void {
    const { limits, asksForTokens } = this.#options;
    const maxConcurrentStreams = asksForTokens ? limits.streams.fresh : limits.streams.service;
    const common = privateField<ServerOptions>(server, "commonServerOptions");
    common.settings = { ...common.settings, maxConcurrentStreams, maxHeaderListSize: limits.headerBytes };
    // By nghttp2's own limit a service loses its connection when many of its callers go; see
    // `Connections.reset`.
    common.streamResetBurst = NO_LIMIT;
    common.streamResetRate = NO_LIMIT;
  }

  /** Takes its place in front of grpc-js. Call it as soon as the server listens. */
  attach(server: Server): void {
    const listening = privateField<ReadonlyMap<Http2Server, unknown>>(server, "http2Servers");
    for (const each of listening.keys()) {
      this.#connections.attach(each, !this.#options.asksForTokens);
      const sweep = setInterval(() => this.#unread.sweep(), SWEEP_MS).unref();
      each.once("close", () => clearInterval(sweep));
      replaceListeners(
        each,
        "stream",
        (listeners, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
          const arrival = this.#arrived(stream, headers);
          if (!arrival) return;
          this.#arriving = arrival;
          try {
            for (const listener of listeners) listener.call(each, stream, headers, ...rest);
          } finally {
            this.#arriving = undefined;
          }
          arrival.call.follow();
          // It has no such method, and has said so.
          if (!arrival.call.isTaken) this.#untaken(arrival);
        },
      );
    }
  }

  /**
   * Verifies the token of a call. Connections take turns: one that sends tokens nobody has seen, or one token in many
   * spellings, would have the others wait behind thousands.
   */
  verify(arrival: Arrival | undefined, verify: () => Promise<Claims>): Promise<Claims> {
    return this.verifyFor(arrival?.connection?.id, () => arrival?.call.isClosed === true, verify);
  }

  /**
   * Does the same as {@link verify} for a call that came without gRPC.
   *
   * @param hasGone whether its caller has
   */
  verifyFor(
    connection: string | undefined,
    hasGone: () => boolean,
    verify: () => Promise<Claims>,
  ): Promise<Claims> {
    const work = () => (hasGone() ? Promise.reject(new Error("the caller has gone")) : verify());
    return this.#verifications.run(work, NEVER, connection);
  }

  /**
   * Takes the share of a call. Returns a function that releases it.
   *
   * @throws Fault when its organisation has none left
   */
  takeShare(claims: Claims, path: string): (() => void) | undefined {
    return isService(claims) ? undefined : this.#options.takeShare?.(claims, path);
  }

  /** Bounds an answer, with the others of its organisation, by what its caller has not read. */
  boundUnread(claims: Claims, answer: Answer): void {
    if (!isService(claims)) this.#unread.add(claims.org, answer);
  }

  /**
   * Notes whose call it is, by its verified token.
   *
   * @throws Fault when the organisation has no share left
   */
  identified({ call, connection }: Arrival, claims: Claims): void {
    if (connection) this.#connections.identified(connection, isService(claims));
    const release = this.takeShare(claims, call.path);
    this.#openCalls.end(call);
    call.identified(claims, release);
    this.boundUnread(claims, call);
  }

  /** Notes that a call was refused. */
  refused({ connection }: Arrival): void {
    if (connection) this.#connections.refused(connection);
  }

  /** Answers a call that was refused before it was read: late when there are many, except a service's. */
  answerRefusal({ connection }: Arrival, answer: () => void): void {
    if (connection?.isTrusted) answer();
    else this.paceRefusal(answer);
  }

  /** Calls `answer`, late when there are many refusals. */
  paceRefusal(answer: () => void): void {
    this.#refusals.answer(answer);
  }

  #untaken(arrival: Arrival): void {
    this.refused(arrival);
    const { connection } = arrival;
    if (connection?.isKnown) this.#connections.reset(connection);
  }

  /** Returns undefined when the stream is closed already. */
  #arrived(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Arrival | undefined {
    const { limits, isOpen } = this.#options;
    const path = String(headers[":path"] ?? "");
    // A server's streams belong to a server's session.
    const connection = this.#connections.of(stream.session as ServerHttp2Session);
    const open = isOpen(path);
    // Whatever token it shows: nobody asks for it.
    const isFree = open && connection?.isTrusted === false;
    const hasCredit = !isFree || this.#connections.takeCredit(connection);
    // Node heeds its own limit once the peer has acknowledged it.
    if (!hasCredit || (!connection?.isTrusted && bytesOf(headers) > limits.headerBytes)) {
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      if (connection) this.#connections.refused(connection);
      return undefined;
    }
    const encoding = encodingOf(headers["grpc-encoding"]);
    const call = new ArrivingCall(stream, { path, isOpen: open, encoding }, limits, this.#unfinished);
    if (connection) {
      connection.streams += 1;
      call.onClosed(() => {
        connection.streams -= 1;
        connection.lastUsedMs = performance.now();
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#connections.reset(connection);
      });
    }
    if (open) call.onClosed(this.#openCalls.begin(call, connection?.admission.address ?? ""));
    return { call, connection };
  }
}

function isService(claims: Claims): boolean {
  return claims.scopes.includes("internal");
}

/** As HTTP/2 counts them. */
function bytesOf(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0) + HEADER_OVERHEAD;
  return bytes;
}

const HEADER_OVERHEAD = 32;
const NO_LIMIT = 0xffff_ffff;
