import { type Release, Semaphore } from "../../runtime/semaphore.ts";
import { bodyOf, type HttpResponse } from "./client.ts";

/** Nearly all manifests and configurations are smaller. */
const SMALL_BYTES = 64 * 1024;
/** Larger ones at a time: 8 MiB each at most. */
const LARGE = { total: 16, perOrg: 2 };

/**
 * Reads manifests and configurations into memory. Large ones take turns, since whoever sends them decides how long that takes, and
 * anybody may have hundreds of them sent.
 */
export class Documents {
  readonly #large = new Map<string, number>();
  readonly #turns = new Semaphore({
    ...{ permits: LARGE.total, maxWaiting: Number.POSITIVE_INFINITY },
    full: () => new Error("unreachable"),
  });

  /** Reads a body of at most `limit` bytes; undefined when it is longer. @throws ConnectionError, or the signal's reason */
  async read(
    response: HttpResponse,
    limit: number,
    org: string,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let length = 0;
    let release: Release | undefined;
    try {
      for await (const part of bodyOf(response, signal)) {
        length += part.length;
        if (length > limit) return undefined;
        if (length > SMALL_BYTES) release ??= await this.#turns.acquire(signal, org, () => this.#claim(org));
        parts.push(part);
      }
      return Buffer.concat(parts);
    } finally {
      release?.();
    }
  }

  #claim(org: string): Release | undefined {
    const count = this.#large.get(org) ?? 0;
    if (count >= LARGE.perOrg) return undefined;
    this.#large.set(org, count + 1);
    return () => {
      const others = (this.#large.get(org) ?? 1) - 1;
      if (others === 0) this.#large.delete(org);
      else this.#large.set(org, others);
    };
  }
}
