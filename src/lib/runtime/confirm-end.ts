const WAIT_MS = 5;

/**
 * Tells the end of a stream of requests from a caller that breaks it off. A Node client that cancels sends END_STREAM just
 * before RST_STREAM (`closeStream` in Node's http2, seen on 24.21 with grpc-js 1.14.7), so a handler would take half an
 * upload for a whole one. Both arrive together; the end is passed on once no cancellation has followed it.
 *
 * What must not be cut short unnoticed should all the same say in a message that it is complete.
 */
export class EndOfRequests {
  #timer: NodeJS.Timeout | undefined;

  /** The end has come: `proceed` is called unless the call is broken off in a moment. */
  came(proceed: () => void): void {
    this.#timer = setTimeout(proceed, WAIT_MS);
  }

  /** The call was broken off. */
  broken(): void {
    clearTimeout(this.#timer);
  }
}
