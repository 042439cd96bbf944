import { EventEmitter } from "node:events";
import type * as grpc from "@grpc/grpc-js";
import type { LocalHead } from "./local-stream.ts";

/** A unary call as its handler sees it. */
export class UnaryCall<Req> extends EventEmitter {
  readonly metadata: grpc.Metadata;
  readonly request: Req;
  cancelled = false;
  isAnswered = false;
  readonly #head: LocalHead;

  constructor(head: LocalHead, request: Req) {
    super();
    this.#head = head;
    this.metadata = head.metadata;
    this.request = request;
  }

  getPath(): string {
    return this.#head.path;
  }

  getPeer(): string {
    return this.#head.peer;
  }

  getDeadline(): number {
    return this.#head.deadlineMs;
  }

  sendMetadata(): void {}

  /** Returns whether it was under way. */
  cancel(): boolean {
    if (this.cancelled || this.isAnswered) return false;
    this.cancelled = true;
    this.emit("cancelled", "cancelled");
    return true;
  }
}
