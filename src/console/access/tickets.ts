import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../lib/runtime/clock.ts";

/** Bounds of the number of tickets and of their life. */
export interface TicketBounds {
  readonly perHolder: number;
  readonly total: number;
  readonly lifeMs: number;
}

interface Ticket<T> {
  readonly holder: string;
  readonly value: T;
  readonly untilMs: number;
}

/** Secrets that stand for something until they expire. In memory, and there only as hashes. */
export class Tickets<T> {
  readonly #bounds: TicketBounds;
  readonly #clock: Clock;
  /** By hash, oldest first. */
  readonly #tickets = new Map<string, Ticket<T>>();

  constructor(bounds: TicketBounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** Makes a ticket. A holder's oldest makes room for it. Returns the secret. */
  issue(holder: string, value: T, untilMs = Number.POSITIVE_INFINITY): string {
    const now = this.#clock.now();
    const own: string[] = [];
    for (const [key, ticket] of this.#tickets) {
      if (ticket.untilMs <= now) this.#tickets.delete(key);
      else if (ticket.holder === holder) own.push(key);
    }
    const { perHolder, total, lifeMs } = this.#bounds;
    const [oldest] = own;
    if (oldest !== undefined && own.length >= perHolder) this.#tickets.delete(oldest);
    else if (this.#tickets.size >= total) this.#tickets.delete(this.#tickets.keys().next().value ?? "");
    const secret = randomBytes(32).toString("base64url");
    this.#tickets.set(hashOf(secret), { holder, value, untilMs: Math.min(untilMs, now + lifeMs) });
    return secret;
  }

  /** Returns what a secret stands for, and until when; undefined for one that is unknown or over. */
  find(secret: string): { readonly value: T; readonly untilMs: number } | undefined {
    const ticket = this.#tickets.get(hashOf(secret));
    return ticket && ticket.untilMs > this.#clock.now() ? ticket : undefined;
  }

  /** Takes a ticket out. Returns what it stood for. */
  take(secret: string): T | undefined {
    const found = this.find(secret);
    this.#tickets.delete(hashOf(secret));
    return found?.value;
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}
