import type { Duplex, Readable, Writable } from "node:stream";
import type { Connection } from "../connection.ts";

/** Names and values of headers in turn, as they were sent: `["Host", "a.example", ...]`. */
export type FlatHeaders = readonly string[];

/** Status and headers of an answer. */
export interface AnswerHead {
  readonly status: number;
  /** Empty: the usual one. */
  readonly statusText: string;
  readonly headers: FlatHeaders;
}

/** A request of a client and the way back, whichever version of HTTP it came by. */
export interface Exchange {
  readonly version: "1.0" | "1.1" | "2";
  readonly method: string;
  /** Target as the client sent it. */
  readonly target: string;
  /** Value of `:authority`. Empty: the headers have the host. */
  readonly authority: string;
  /** Without pseudo headers. */
  readonly headers: FlatHeaders;
  /** Undefined: none. Not read before somebody reads it. */
  readonly body: Readable | undefined;
  readonly connection: Connection;
  /** What the client wants to change to, for instance `websocket`. Empty: nothing. */
  readonly upgrade: string;
  /** Aborts when the client leaves before the answer is complete. */
  readonly left: AbortSignal;
  /** Trailers of the request, once its body has ended. */
  requestTrailers(): FlatHeaders;
  /** Whether the head of the answer has been given. */
  readonly hasBegun: boolean;
  /** Sends an informational answer: 100 or 103. */
  inform(status: number, headers: FlatHeaders): void;
  /**
   * Gives the head of the answer. It is sent at once, or with the first bytes of its body when they come
   * in the same moment.
   *
   * @param isEmpty no body follows
   * @returns what takes the body
   * @throws Error for a head that cannot be sent; another may be given
   */
  begin(head: AnswerHead, isEmpty: boolean): Writable;
  /** Sends trailers when the body ends. */
  trail(headers: FlatHeaders): void;
  /** Answers 101 and returns the connection. */
  change(head: AnswerHead): Duplex;
  /**
   * Ends an incomplete answer so that the client can tell.
   *
   * @param trailers tell a client that knows them, where all that has come so far can be sent
   */
  cut(trailers?: FlatHeaders): void;
}
