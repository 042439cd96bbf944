import type { Redis } from "../../lib/stores/redis.ts";
import type { Offer } from "../auctions/offer.ts";
import { CLAIM, DUE, EXPIRE, FIND, LIST, PUT, READ, REMOVE } from "./redis-scripts.ts";
import type {
  ClaimResult,
  ExpiredReservation,
  FindResult,
  ListPosition,
  LiveReservation,
  PutResult,
  Reservation,
  ReservationStore,
} from "./reservation-store.ts";

/** Reservations of a region at once: those of a minute at full speed, some 100 MB. */
const MAX_RESERVATIONS = 60_000;
/** TTL of keys, longer than that of reservations: for when no scheduler is left to expire them. */
const KEY_TTL_MS = 60_000;

export class RedisReservations implements ReservationStore {
  readonly #prefix: string;
  readonly #deadlines: string;
  readonly #scripts: ReturnType<typeof defineScripts>;
  readonly #limit: number;

  /**
   * @param region the hash tag: all keys of a region are on one shard, so a script can use several
   * @param limit reservations at once
   */
  constructor(redis: Redis, region: string, limit = MAX_RESERVATIONS) {
    this.#limit = limit;
    this.#prefix = `windhover:{${region}}:reservation:`;
    this.#deadlines = `windhover:{${region}}:deadlines`;
    this.#scripts = defineScripts(redis);
  }

  async find(id: string): Promise<FindResult> {
    const [kind, value, ...claim] = strings(await this.#scripts.find([this.#key(id)], []));
    return kind === "live"
      ? { kind, live: decodeLive(value, ...claim) }
      : { kind: "none", nowMs: Number(value) };
  }

  async put(reservation: Reservation, claimant = ""): Promise<PutResult> {
    const { id, deadlineMs, offers } = reservation;
    const [kind, value, ...claim] = strings(
      await this.#scripts.put(
        [this.#key(id), this.#deadlines],
        [
          ...[id, deadlineMs, encode(reservation), KEY_TTL_MS, this.#limit, claimant],
          ...offers.map((offer) => offer.hostNumber),
        ],
      ),
    );
    switch (kind) {
      case "stored":
      case "late":
        return { kind };
      case "full":
        return { kind, limit: this.#limit };
      case "live":
        return { kind, live: decodeLive(value, ...claim) };
      default:
        throw new TypeError(`the script put returned ${kind}`);
    }
  }

  async claim(id: string, claimant: string, hostNumber: number): Promise<ClaimResult> {
    const [kind, value] = strings(await this.#scripts.claim([this.#key(id)], [claimant, hostNumber]));
    switch (kind) {
      case "expired":
      case "taken":
      case "unknown":
        return { kind };
      case "claimed": {
        const offer = decode(value).offers.find((one) => one.hostNumber === hostNumber);
        return offer ? { kind, offer } : { kind: "unknown" };
      }
      default:
        throw new TypeError(`the script claim returned ${kind}`);
    }
  }

  async remove(id: string): Promise<Reservation | undefined> {
    const body = await this.#scripts.remove([this.#key(id), this.#deadlines], [id]);
    return typeof body === "string" ? decode(body) : undefined;
  }

  async expire(limit: number): Promise<readonly ExpiredReservation[]> {
    const ids = strings(await this.#scripts.due([this.#deadlines], [limit]));
    if (ids.length === 0) return [];
    const keys = [this.#deadlines, ...ids.map((id) => this.#key(id))];
    return chunks(strings(await this.#scripts.expire(keys, ids)), 2).map(([body, host]) => ({
      reservation: decode(body),
      claimedHost: host ? Number(host) : undefined,
    }));
  }

  async list(
    limit: number,
    after?: ListPosition,
  ): Promise<{ listed: readonly LiveReservation[]; total: number }> {
    const position = [after?.deadlineMs ?? 0, after?.id ?? ""];
    const [total, ...ids] = strings(await this.#scripts.list([this.#deadlines], [limit, ...position]));
    if (ids.length === 0) return { listed: [], total: Number(total) };
    const keys = ids.map((id) => this.#key(id));
    const listed = chunks(strings(await this.#scripts.read(keys, [])), 3).map(([body, ...claim]) =>
      decodeLive(body, ...claim),
    );
    return { listed, total: Number(total) };
  }

  #key(id: string): string {
    return this.#prefix + id;
  }
}

function defineScripts(redis: Redis) {
  return {
    find: redis.script("reservationFind", FIND),
    put: redis.script("reservationPut", PUT),
    claim: redis.script("reservationClaim", CLAIM),
    remove: redis.script("reservationRemove", REMOVE),
    due: redis.script("reservationDue", DUE),
    expire: redis.script("reservationExpire", EXPIRE),
    list: redis.script("reservationList", LIST),
    read: redis.script("reservationRead", READ),
  };
}

function strings(returned: unknown): string[] {
  if (!Array.isArray(returned)) throw new TypeError("a script returned something that is no list");
  return returned.map(String);
}

function chunks(values: readonly string[], size: number): string[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}

function decodeLive(body: string | undefined, claimant = "", host = ""): LiveReservation {
  const claim = claimant === "" ? {} : { claim: { claimant, hostNumber: Number(host) } };
  return { reservation: decode(body), ...claim };
}

function encode(reservation: Reservation): string {
  const offers = reservation.offers.map((offer) => ({ ...offer, epoch: String(offer.epoch) }));
  return JSON.stringify({ ...reservation, offers });
}

function decode(body: string | undefined): Reservation {
  // Only `encode` writes these, here or in another replica.
  const stored = JSON.parse(body ?? "") as Reservation & { offers: (Offer & { epoch: string })[] };
  return { ...stored, offers: stored.offers.map((offer) => ({ ...offer, epoch: BigInt(offer.epoch) })) };
}
