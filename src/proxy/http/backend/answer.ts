import type { Duplex, Readable } from "node:stream";
import type { AnswerHead, FlatHeaders } from "../exchange.ts";

/** The answer of a machine, as far as it has come. */
export interface MachineAnswer {
  readonly head: AnswerHead;
  /** Not read before somebody reads it. Fails when the machine breaks it off. */
  readonly body: Readable;
  /** The machine has said that no body follows. */
  readonly isEmpty: boolean;
  /** Whether the end of the body was the machine's word, and not that of its connection. */
  isWhole(): boolean;
  /** Once the body has ended. */
  trailers(): FlatHeaders;
  /** Set after 101: the connection, and what has already been read of it. */
  readonly changed?: { readonly socket: Duplex; readonly first: Buffer };
  /** Reads no more of it, and closes the connection when it cannot be used again. */
  discard(): void;
}

/** How far a request came that failed. */
export type Stage =
  /** No connection: the machine has heard nothing. */
  | "refused"
  /** The machine may have heard the request, and answered nothing. */
  | "silent"
  /** The answer had begun. */
  | "begun";

/** A request to a machine that failed. */
export class AttemptError extends Error {
  override readonly name = "AttemptError";
  readonly stage: Stage;

  constructor(stage: Stage, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stage = stage;
  }
}
