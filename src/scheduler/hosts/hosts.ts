import { Fault } from "../../lib/faults/fault.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Draw } from "../auctions/draw.ts";
import type { Bid } from "../auctions/offer.ts";
import { matches } from "../auctions/placement.ts";
import { AttachedHost, type HostInfo, type HostStream } from "./attached-host.ts";
import { ImageHosts } from "./image-hosts.ts";
import { Refusals } from "./refusals.ts";

/** A host silent for longer is not asked. Three times the longest pause between two statuses. */
const STALE_MS = 15_000;
/** A host silent for longer is detached. */
const SILENT_MS = 30_000;
/** Attached hosts at once, of some 20 kB each. */
const MAX_HOSTS = 10_000;
/** Hosts with the image that are asked before all others. ADR 10 has the reason. */
const IMAGE_HOSTS = 2;

/** Counts of the attached hosts by how they stand to a bid. */
export interface HostSummary {
  readonly attached: number;
  /** Hosts with the number and labels of the bid. The other counts are of these. */
  readonly matching: number;
  /** Cordoned or draining. */
  readonly closed: number;
  readonly inBackoff: number;
  readonly silent: number;
}

export class Hosts {
  readonly refusals: Refusals;
  readonly #clock: Clock;
  readonly #byNumber = new Map<number, AttachedHost>();
  readonly #images = new ImageHosts();
  #all: readonly AttachedHost[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.refusals = new Refusals(clock);
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /**
   * Adds a host. Replaces the same host when it is attached already, since its old stream is dead or
   * will be.
   *
   * @throws Fault ALREADY_EXISTS / `HOST_NUMBER_TAKEN`, RESOURCE_EXHAUSTED / `TOO_MANY_HOSTS`
   */
  attach(info: HostInfo, stream: HostStream): AttachedHost {
    const before = this.#byNumber.get(info.number);
    if (before && before.info.identity !== info.identity) throw numberTaken(info, before);
    if (!before && this.#byNumber.size >= MAX_HOSTS) throw tooMany();
    if (before) this.drop(before, replaced(info));
    const host = new AttachedHost(info, stream, this.#clock, (slow) => this.drop(slow, tooSlow(slow)));
    this.#byNumber.set(info.number, host);
    this.#all = undefined;
    return host;
  }

  /** Removes a host whose stream has ended, unless it has been replaced. */
  detach(host: AttachedHost): void {
    if (this.get(host.info.number) !== host) return;
    this.#byNumber.delete(host.info.number);
    this.#images.drop(host);
    this.#all = undefined;
    host.disconnected();
  }

  drop(host: AttachedHost, fault: Fault): void {
    if (this.get(host.info.number) !== host) return;
    this.detach(host);
    host.stream.end(fault);
  }

  setImages(host: AttachedHost, hints: readonly number[]): void {
    // The last message of a stream may arrive when its host has attached again.
    if (this.get(host.info.number) === host) this.#images.set(host, hints);
  }

  /** Detaches silent hosts. Must be called every few seconds. */
  dropSilent(): void {
    const since = this.#clock.monotonicMs() - SILENT_MS;
    for (const host of this.all()) if (host.lastSeenMs < since) this.drop(host, silent(host));
  }

  get(number: number): AttachedHost | undefined {
    return this.#byNumber.get(number);
  }

  /** Returns all hosts, in no particular order, in an array that does not change. */
  all(): readonly AttachedHost[] {
    this.#all ??= [...this.#byNumber.values()];
    return this.#all;
  }

  /**
   * Draws the hosts to ask for a bid, first a few that have the image.
   *
   * A rare label makes the draw look at every host: 0.25 ms for 5,000, less than an index would cost.
   */
  draw(bid: Bid, excluded: ReadonlySet<number>, random: () => number): Draw<AttachedHost> {
    const nowMs = this.#clock.monotonicMs();
    const { placement, resources } = bid;
    const draw = new Draw(
      this.#candidates(bid),
      (host) => {
        if (!matches(host.info, placement) || excluded.has(host.info.number)) return "excluded";
        if (!this.#canBeAsked(host, nowMs)) return "excluded";
        return host.seemsToFit(resources) && !host.isSlow(nowMs) ? "likely" : "unlikely";
      },
      random,
    );
    if (placement.hostNumber === undefined) draw.prefer(this.#images.of(bid.imageDigest), IMAGE_HOSTS);
    return draw;
  }

  /** Counts the hosts to explain why an auction has failed. */
  summary({ placement }: Bid): HostSummary {
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

  #canBeAsked(host: AttachedHost, nowMs: number): boolean {
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
  const message = `${MAX_HOSTS} hosts are attached already`;
  const facts = { limit: String(MAX_HOSTS) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_HOSTS", message, facts, { retryAfterMs: 5_000 });
}

function replaced({ number, name }: HostInfo): Fault {
  const facts = { number: String(number), name };
  return new Fault("ABORTED", "HOST_REPLACED", `${name} has attached again`, facts);
}

function silent({ info: { name } }: AttachedHost): Fault {
  const message = `${name} has sent no message for ${SILENT_MS} ms`;
  return new Fault("DEADLINE_EXCEEDED", "HOST_SILENT", message, { name, silent_ms: String(SILENT_MS) });
}

function tooSlow({ info: { name } }: AttachedHost): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "HOST_TOO_SLOW", `${name} does not read its messages`, { name });
}
