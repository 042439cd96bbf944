import type { HostAddress } from "../../hosts/hostd-client.ts";
import type { ImageRef, Machine } from "../../machines/machine.ts";
import type { Placement } from "../../regions/placement.ts";
import type { Scope } from "../../requests/scope.ts";
import type { Attempt, CreateRequest, CreateState, Offer } from "./create-state.ts";
import type { Within } from "./progress.ts";

/** Finds out which image a reference stands for. */
export interface ImageResolver {
  /** @throws Fault `IMAGE_NOT_FOUND`, `REGISTRY_UNAVAILABLE`, `REGISTRY_UNAUTHORIZED`, `NOT_AN_IMAGE`, `PLATFORM_NOT_AVAILABLE`, ... */
  resolve(reference: string, signal: AbortSignal): Promise<ImageRef>;
}

/** What an auction is to find room for. */
export interface AuctionRequest {
  readonly reservationId: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly imageDigest: string;
  readonly app: string;
  readonly excludedHosts: readonly number[];
  readonly placement?: Placement;
  /** Who claims the best offer with it: the create. */
  readonly claimant: string;
}

/** What an auction has found. */
export interface Reserved {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** Host of the offer that is claimed already. Absent: Claim comes first. */
  readonly claimedHost?: number;
}

/** A region's scheduler. Not to be reached, or unable to work, it is UNAVAILABLE / `SCHEDULER_UNAVAILABLE`. */
export interface Auctions {
  /** Holds an auction and claims its best offer; a repeat gives the same. @throws Fault `NO_CAPACITY`, `NO_HOSTS` */
  reserve(request: AuctionRequest, scope: Scope): Promise<Reserved>;
  /** @throws Fault `RESERVATION_EXPIRED`, `RESERVATION_CLAIMED`, `OFFER_UNKNOWN` */
  claim(reservationId: string, claimant: string, hostNumber: number, scope: Scope): Promise<Offer>;
  /** Ends a reservation and releases every hold but that of `awardedHost`. `refusedHosts` refused the award or did not answer it. */
  release(
    reservationId: string,
    awardedHost: number | undefined,
    scope: Scope,
    refusedHosts?: readonly number[],
  ): Promise<void>;
}

/** What a create asks of hosts. A host that does not answer is UNAVAILABLE / `HOST_UNREACHABLE`. */
export interface CreateHosts {
  /** Turns the hold into an allocation. Repeating it is fine. */
  create(host: HostAddress, award: Award, scope: Scope): Promise<Machine>;
  /** Makes the image local, reporting how far it is. Repeating it is fine. */
  prepare(
    host: HostAddress,
    machineId: string,
    report: (within: Within) => void,
    scope: Scope,
  ): Promise<Machine>;
  start(host: HostAddress, machineId: string, scope: Scope): Promise<Machine>;
  get(host: HostAddress, machineId: string, scope: Scope): Promise<Machine>;
  /** Destroys a machine, running or not; there being none is fine. */
  destroy(host: HostAddress, machineId: string, scope: Scope): Promise<void>;
}

/** What a host is awarded. */
export interface Award {
  readonly machineId: string;
  readonly request: CreateRequest;
  readonly image: ImageRef;
  readonly createTraceId: string;
  readonly reservationId: string;
  /** Decimal. */
  readonly epoch: string;
}

/** What a create keeps, and where it reports. All of it is the running create's own; a write throws once another api has taken over. */
export interface CreateContext {
  readonly id: string;
  readonly request: CreateRequest;
  readonly createTraceId: string;
  /** Whether an earlier run may have done some of it. */
  readonly isResumed: boolean;
  /** How far it is; as stored. */
  readonly state: CreateState;
  /** A step begins. */
  begin(step: string): void;
  /** Keeps the state. It is stored a moment later, or with what comes first of the others: what is lost in a crash is done once more. */
  save(state: CreateState): Promise<void>;
  /** Stores a host that is about to be asked. */
  saveAttempt(state: CreateState, attempt: Attempt): Promise<void>;
  /** Keeps the state and what a host said of the machine, as {@link save} does. */
  saveMachine(state: CreateState, machine: Machine): Promise<void>;
  /** Puts the machine into the record for good. @throws Fault `MACHINE_DESTROYED` */
  recordMachine(machine: Machine): Promise<void>;
  /** Removes the intent: name and quota are free again. */
  forget(): Promise<void>;
  /** How far the present step is. */
  report(within: Within): void;
  /** Work that no step waits for, only the end of the run. Its failure is logged. */
  meanwhile(work: Promise<void>): void;
}

/** What the steps of a create work with. */
export interface CreateTools {
  readonly images: ImageResolver;
  /** The auctions of a region. @throws Fault `SCHEDULER_UNAVAILABLE` when it has none */
  readonly auctionsIn: (region: string) => Auctions;
  readonly hosts: CreateHosts;
  /** 36 random bits for a machine's id. */
  readonly random: () => bigint;
  /** Makes sure that whoever starts the machine finds this host. Never throws. */
  readonly meet: (host: HostAddress) => Promise<void>;
  /** Between attempts to reach a host that has a machine already, in milliseconds. Default 500. */
  readonly retryMs?: number;
}

/** What an auction is asked for. */
export function auctionRequest(ctx: CreateContext, reservationId: string, excludedHosts: readonly number[]) {
  const { app, config, placement } = ctx.request;
  const { cpus, memoryMb } = config.guest;
  const imageDigest = imageOf(ctx).digest;
  const wish = placement === undefined ? {} : { placement };
  return { reservationId, cpus, memoryMb, imageDigest, app, excludedHosts, claimant: ctx.id, ...wish };
}

/** The image that the step `resolve` found. */
export function imageOf(ctx: CreateContext): ImageRef {
  if (!ctx.state.image) throw new Error("the image has not been resolved");
  return ctx.state.image;
}

/** The host behind an offer. */
export function hostOf(offer: Offer): HostAddress {
  return { number: offer.hostNumber, name: offer.hostName, address: offer.hostAddress };
}
