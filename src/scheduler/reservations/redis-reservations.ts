import type { Redis, Script } from "../../lib/stores/redis.ts";
import type { Offer } from "../auctions/offer.ts";
import { CLAIM, DUE, EXPIRE, LIVING, OPEN, PUT, REMOVE, SHOW } from "./redis-scripts.ts";
import type {
  Claimed,
  Expired,
  Living,
  Opened,
  Put,
  Reservation,
  ReservationStore,
} from "./reservation-store.ts";

/** Reservations of a region at once: a minute's worth at full speed, some 100 MB. */
const MAX_RESERVATIONS = 60_000;
/** How long Redis keeps a reservation that nobody ends, beyond any deadline: for when no scheduler is left to sweep. */
const GARBAGE_MS = 60_000;

/** The reservations of a region in Redis. */
export class RedisReservations implements ReservationStore {
  readonly #prefix: string;
  readonly #deadlines: string;
  readonly #open: Script;
  readonly #put: Script;
  readonly #claim: Script;
  readonly #remove: Script;
  readonly #due: Script;
  readonly #expire: Script;
  readonly #living: Script;
  readonly #show: Script;
  readonly #limit: number;

  /**
   * @param region the hash tag: all keys of a region live on one shard, so a script can touch several
   * @param limit reservations at once
   */
  constructor(redis: Redis, region: string, limit = MAX_RESERVATIONS) {
    this.#limit = limit;
    this.#prefix = `windhover:{${region}}:reservation:`;
    this.#deadlines = `windhover:{${region}}:deadlines`;
    this.#open = redis.script("reservationOpen", OPEN);
    this.#put = redis.script("reservationPut", PUT);
    this.#claim = redis.script("reservationClaim", CLAIM);
    this.#remove = redis.script("reservationRemove", REMOVE);
    this.#due = redis.script("reservationDue", DUE);
    this.#expire = redis.script("reservationExpire", EXPIRE);
    this.#living = redis.script("reservationLiving", LIVING);
    this.#show = redis.script("reservationShow", SHOW);
  }

  async open(id: string): Promise<Opened> {
    const [kind, value, ...claim] = answer(await this.#open([this.#key(id)], []));
    return kind === "lives" ? { kind, ...living(value, ...claim) } : { kind: "new", nowMs: Number(value) };
  }

  async put(reservation: Reservation, claimant = ""): Promise<Put> {
    const { id, deadlineMs, offers } = reservation;
    const [kind, value, ...claim] = answer(
      await this.#put(
        [this.#key(id), this.#deadlines],
        [
          ...[id, deadlineMs, encode(reservation), GARBAGE_MS, this.#limit, claimant],
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
      case "lives":
        return { kind, ...living(value, ...claim) };
      default:
        throw unexpected("put", kind);
    }
  }

  async claim(id: string, claimant: string, hostNumber: number): Promise<Claimed> {
    const [kind, value] = answer(await this.#claim([this.#key(id)], [claimant, hostNumber]));
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
        throw unexpected("claim", kind);
    }
  }

  async remove(id: string): Promise<Reservation | undefined> {
    const body = await this.#remove([this.#key(id), this.#deadlines], [id]);
    return typeof body === "string" ? decode(body) : undefined;
  }

  async sweep(limit: number): Promise<readonly Expired[]> {
    const ids = answer(await this.#due([this.#deadlines], [limit]));
    if (ids.length === 0) return [];
    const keys = [this.#deadlines, ...ids.map((id) => this.#key(id))];
    const ended = answer(await this.#expire(keys, ids));
    return ended.flatMap((body, i) => {
      if (i % 2 === 1) return [];
      const host = ended[i + 1];
      return [{ reservation: decode(body), claimedHost: host ? Number(host) : undefined }];
    });
  }

  async list(limit: number): Promise<{ listed: readonly Living[]; total: number }> {
    const [total, ...ids] = answer(await this.#living([this.#deadlines], [limit]));
    if (ids.length === 0) return { listed: [], total: Number(total) };
    const shown = answer(
      await this.#show(
        ids.map((id) => this.#key(id)),
        [],
      ),
    );
    const listed = shown.flatMap((body, i) =>
      i % 3 === 0 ? [living(body, shown[i + 1], shown[i + 2])] : [],
    );
    return { listed, total: Number(total) };
  }

  #key(id: string): string {
    return this.#prefix + id;
  }
}

/** A script's answer: text and whole numbers. */
function answer(value: unknown): string[] {
  if (!Array.isArray(value)) throw new TypeError("Redis answered a script with something that is no list");
  return value.map(String);
}

function unexpected(script: string, kind: string | undefined): TypeError {
  return new TypeError(`the script ${script} answered ${kind}`);
}

function living(body: string | undefined, claimant = "", host = ""): Living {
  const claim = claimant === "" ? {} : { claim: { claimant, hostNumber: Number(host) } };
  return { reservation: decode(body), ...claim };
}

function encode(reservation: Reservation): string {
  const offers = reservation.offers.map((offer) => ({ ...offer, epoch: String(offer.epoch) }));
  return JSON.stringify({ ...reservation, offers });
}

function decode(body: string | undefined): Reservation {
  // Nobody else writes these: what comes back is what `encode` made, here or in another replica.
  const stored = JSON.parse(body ?? "") as Reservation & { offers: (Offer & { epoch: string })[] };
  return { ...stored, offers: stored.offers.map((offer) => ({ ...offer, epoch: BigInt(offer.epoch) })) };
}
