import * as grpc from "@grpc/grpc-js";

export interface LateStartOptions {
  /** Resolves when the call may start. */
  readonly ready: Promise<void>;
  readonly deadline: grpc.Deadline | undefined;
  start(): void;
  /** Tells the caller the status of a call that does not start. */
  fail(status: grpc.StatusObject): void;
}

/**
 * A call whose start waits for something. grpc-js forgets a cancellation, or a deadline, that comes
 * before the start: its caller would wait for ever.
 */
export class LateStart {
  readonly #fail: LateStartOptions["fail"];
  readonly #timer: NodeJS.Timeout | undefined;
  #isDecided = false;

  /** @param toStatus describes why it could not become ready */
  constructor(
    { ready, deadline, start, fail }: LateStartOptions,
    toStatus: (err: unknown) => grpc.StatusObject,
  ) {
    this.#fail = fail;
    const ms = deadline === undefined ? Number.POSITIVE_INFINITY : Number(deadline) - Date.now();
    // What a timer can wait: 24 days.
    if (ms < 2 ** 31) {
      const overdue = () => this.#end(grpc.status.DEADLINE_EXCEEDED, "Deadline exceeded before the start");
      this.#timer = setTimeout(overdue, ms);
    }
    ready.then(
      () => this.#decide(start),
      (err: unknown) => this.#decide(() => fail(toStatus(err))),
    );
  }

  /** The caller has cancelled it. */
  cancel(): void {
    this.#end(grpc.status.CANCELLED, "Cancelled on client");
  }

  #end(code: grpc.status, details: string): void {
    const status = { code, details, metadata: new grpc.Metadata() };
    // As grpc-js does: not within the caller's own call.
    this.#decide(() => process.nextTick(() => this.#fail(status)));
  }

  #decide(decision: () => void): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    clearTimeout(this.#timer);
    decision();
  }
}
