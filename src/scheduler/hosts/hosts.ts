import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { Draw } from "../auctions/draw.ts";
import type { Bid } from "../auctions/offer.ts";
import { matches } from "../auctions/placement.ts";
import { AttachedHost, type HostInfo, type HostStatus, type Link } from "./attached-host.ts";
import { ImageHosts } from "./image-hosts.ts";
import { Refusals } from "./refusals.ts";

/** A host that has said nothing for so long is not asked: its word is too old. Three times the pause it may take. */
const STALE_MS = 15_000;
/** A host that has said nothing for so long is detached; its stream is dead or it is. */
const SILENT_MS = 30_000;
/** Hosts attached at once: some 20 kB each. */
const MAX_HOSTS = 10_000;

/**
 * Hosts that seem to have the image are drawn before all others, so many of them: when a tenth of them declines, one in a hundred auctions gets
 * neither. The others asked come from the whole fleet, so that those who have an image do not get everything that is made of it.
 */
const IMAGE_HOSTS = 2;

/** The way down to a host, owned by its stream. */
export interface HostStream extends Link {
  /** Ends the stream with a fault. Called at most once. */
  end(fault: Fault): void;
}

/** How the attached hosts stand to what a bid asks for. */
export interface Survey {
  readonly attached: number;
  /** Those with the number and labels that were asked for; the following are of these. */
  readonly matching: number;
  /** Cordoned or draining. */
  readonly closed: number;
  /** Left out for a while, because they refused awards. */
  readonly inBackoff: number;
  /** Nothing has been heard of them lately. */
  readonly silent: number;
}

/** The hosts attached to this replica. One writer each: the stream it came by. */
export class Hosts {
  /** Who refused awards lately. */
  readonly refusals: Refusals;
  readonly #clock: Clock;
  readonly #byNumber = new Map<number, { host: AttachedHost; stream: HostStream }>();
  readonly #images = new ImageHosts();
  #all: readonly AttachedHost[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.refusals = new Refusals(() => clock.monotonicMs());
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /**
   * Takes a host in. The same host attached before is replaced: its old stream is dead, or will be.
   *
   * @throws Fault ALREADY_EXISTS / `HOST_NUMBER_TAKEN`, RESOURCE_EXHAUSTED / `TOO_MANY_HOSTS`
   */
  attach(info: HostInfo, stream: HostStream): AttachedHost {
    const before = this.#byNumber.get(info.number);
    if (before && before.host.info.identity !== info.identity) throw numberTaken(info, before.host);
    if (!before && this.#byNumber.size >= MAX_HOSTS) throw tooMany();
    if (before) this.drop(before.host, replaced(info));
    const now = { at: this.#clock.now(), ms: this.#clock.monotonicMs() };
    const host = new AttachedHost(info, stream, now, (slow) => this.drop(slow, tooSlow(slow)));
    this.#byNumber.set(info.number, { host, stream });
    this.#all = undefined;
    return host;
  }

  /** Lets a host go whose stream has ended. One that has been replaced is gone already. */
  detach(host: AttachedHost): void {
    if (this.#byNumber.get(host.info.number)?.host !== host) return;
    this.#byNumber.delete(host.info.number);
    this.#images.drop(host);
    this.#all = undefined;
    host.lost();
  }

  /** Detaches a host and ends its stream with `fault`. */
  drop(host: AttachedHost, fault: Fault): void {
    const entry = this.#byNumber.get(host.info.number);
    if (entry?.host !== host) return;
    this.detach(host);
    entry.stream.end(fault);
  }

  /** Notes that a host has said something. */
  heard(host: AttachedHost, status?: HostStatus): void {
    host.lastSeenAt = this.#clock.now();
    host.lastSeenMs = this.#clock.monotonicMs();
    if (status) host.status = status;
  }

  /** Notes which images a host says it has, as the first four bytes of their digests. */
  heardImages(host: AttachedHost, hints: readonly number[]): void {
    // What a stream says last may arrive when its host has attached anew.
    if (this.get(host.info.number) === host) this.#images.set(host, hints);
  }

  /** Detaches the hosts that have fallen silent. To be called every few seconds. */
  dropSilent(): void {
    const since = this.#clock.monotonicMs() - SILENT_MS;
    for (const host of this.all()) if (host.lastSeenMs < since) this.drop(host, silent(host));
  }

  /** A host by its number. */
  get(number: number): AttachedHost | undefined {
    return this.#byNumber.get(number)?.host;
  }

  /** All hosts, in no particular order. The array does not change. */
  all(): readonly AttachedHost[] {
    this.#all ??= [...this.#byNumber.values()].map(({ host }) => host);
    return this.#all;
  }

  /**
   * A random order of the hosts worth asking, first a few that have the image. A rare label makes it look at every host: a quarter of a
   * millisecond for 5,000, which is less than an index would cost to keep.
   */
  draw(bid: Bid, excluded: ReadonlySet<number>, random: () => number): Draw<AttachedHost> {
    const nowMs = this.#clock.monotonicMs();
    const { placement, resources } = bid;
    const draw = new Draw(
      this.#candidates(bid),
      (host) => {
        if (!matches(host.info, placement) || excluded.has(host.info.number)) return "excluded";
        if (!this.#isAskable(host, nowMs)) return "excluded";
        return host.seemsToFit(resources) && !host.isSluggish(nowMs) ? "likely" : "unlikely";
      },
      random,
    );
    if (placement.hostNumber === undefined) draw.prefer(this.#images.of(bid.imageDigest), IMAGE_HOSTS);
    return draw;
  }

  /** Counts the hosts that were asked for, and why some of them are not asked. Looks at all: for explaining a failure. */
  survey({ placement }: Bid): Survey {
    const nowMs = this.#clock.monotonicMs();
    const matching = this.all().filter((host) => matches(host.info, placement));
    return {
      attached: this.size,
      matching: matching.length,
      closed: matching.filter((host) => !host.isOpen).length,
      inBackoff: matching.filter((host) => this.refusals.isInBackoff(host.info.number)).length,
      silent: matching.filter((host) => nowMs - host.lastSeenMs > STALE_MS).length,
    };
  }

  #candidates({ placement }: Bid): readonly AttachedHost[] {
    if (placement.hostNumber === undefined) return this.all();
    const host = this.get(placement.hostNumber);
    return host === undefined ? [] : [host];
  }

  #isAskable(host: AttachedHost, nowMs: number): boolean {
    return nowMs - host.lastSeenMs <= STALE_MS && host.isOpen && !this.refusals.isInBackoff(host.info.number);
  }
}

function numberTaken(info: HostInfo, holder: AttachedHost): Fault {
  return new Fault(
    "ALREADY_EXISTS",
    "HOST_NUMBER_TAKEN",
    `host number ${info.number} belongs to ${holder.info.name}, which is attached; give ${info.name} another number`,
    { number: String(info.number), name: info.name, holder: holder.info.name },
  );
}

function tooMany(): Fault {
  const facts = { limit: String(MAX_HOSTS) };
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_HOSTS",
    `${MAX_HOSTS} hosts are attached, which is the most`,
    facts,
    {
      retryAfterMs: 5_000,
    },
  );
}

function replaced(info: HostInfo): Fault {
  const facts = { number: String(info.number), name: info.name };
  return new Fault("ABORTED", "HOST_REPLACED", `${info.name} has attached anew`, facts);
}

function silent(host: AttachedHost): Fault {
  const facts = { name: host.info.name, silent_ms: String(SILENT_MS) };
  return new Fault(
    "DEADLINE_EXCEEDED",
    "HOST_SILENT",
    `nothing was heard of ${host.info.name} for ${SILENT_MS} ms`,
    facts,
  );
}

function tooSlow(host: AttachedHost): Fault {
  const facts = { name: host.info.name };
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "HOST_TOO_SLOW",
    `${host.info.name} does not read what it is sent`,
    facts,
  );
}
