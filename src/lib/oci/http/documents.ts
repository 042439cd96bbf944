import { type Release, Semaphore } from "../../limits/semaphore.ts";
import { bodyOf, type HttpResponse } from "./client.ts";

/** Nearly all manifests and configurations are smaller. */
const SMALL_BYTES = 64 * 1024;
/** Larger ones at a time: 8 MiB each at most. */
const LARGE = { total: 16, perOrg: 2 };

/** Sends a request and reads its response, and returns both. */
type Get = <T>(
  consume: (response: HttpResponse) => Promise<T>,
) => Promise<{ readonly response: HttpResponse; readonly body: T }>;

/**
 * Reads manifests and configurations into memory. Large ones take turns, since whoever sends them decides how long that takes, and
 * anybody may have hundreds of them sent. One that waits holds no connection, and is requested again.
 */
export class Documents {
  readonly #large = new Map<string, number>();
  readonly #turns = new Semaphore({
    ...{ permits: LARGE.total, maxWaiting: Number.POSITIVE_INFINITY },
    full: () => new Error("unreachable"),
  });

  /** Reads a document of at most `limit` bytes; its body is undefined when it is longer. @throws what `get` throws; the signal's reason */
  async read(get: Get, limit: number, org: string, signal: AbortSignal) {
    const claim = () => this.#claim(org);
    let release: Release | undefined;
    try {
      const now = await get((response) => {
        const isLarge = () => {
          release ??= this.#turns.tryAcquire(claim);
          return release !== undefined;
        };
        return collect(response, limit, signal, isLarge);
      });
      const { response, body } = now;
      if (body !== "wait") return { response, body };
      release = await this.#turns.acquire(signal, org, claim);
      const later = await get((again) => collect(again, limit, signal, () => true));
      return { response: later.response, body: later.body === "wait" ? undefined : later.body };
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

/** @param mayBeLarge asked once it is; false: the rest is not read */
async function collect(
  response: HttpResponse,
  limit: number,
  signal: AbortSignal,
  mayBeLarge: () => boolean,
): Promise<Buffer | undefined | "wait"> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of bodyOf(response, signal)) {
    length += part.length;
    if (length > limit) return undefined;
    if (length > SMALL_BYTES && !mayBeLarge()) return "wait";
    parts.push(part);
  }
  return Buffer.concat(parts);
}
