/** An answer that its caller reads as fast as it likes. */
export interface Answer {
  /** Bytes that the caller has not taken. */
  readonly unreadBytes: number;
  /** Ends the answer although it is not read. */
  breakOff(): void;
  /** Adds what is called when it has been taken, or the caller has gone. */
  onClosed(callback: () => void): void;
}

/** Bounds what servers keep of answers that organisations do not read: a client decides how fast it reads, if at all. */
export class UnreadAnswers {
  readonly #maxBytes: number;
  readonly #byOrg = new Map<string, Set<Answer>>();

  /** @param maxBytes of an organisation */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(org: string, call: Answer): void {
    const calls = this.#byOrg.get(org) ?? new Set();
    this.#byOrg.set(org, calls);
    calls.add(call);
    call.onClosed(() => {
      calls.delete(call);
      if (calls.size === 0 && this.#byOrg.get(org) === calls) this.#byOrg.delete(org);
    });
  }

  /** Breaks off the largest answers of organisations that have too much unread. Must be called periodically. */
  sweep(): void {
    for (const calls of this.#byOrg.values()) {
      let unread = 0;
      for (const call of calls) unread += call.unreadBytes;
      if (unread <= this.#maxBytes) continue;
      for (const call of [...calls].sort((a, b) => b.unreadBytes - a.unreadBytes)) {
        unread -= call.unreadBytes;
        call.breakOff();
        if (unread <= this.#maxBytes) break;
      }
    }
  }
}
