import type { Placement } from "./placement.ts";

/** Amounts of resources. Memory and disk in MB. */
export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** The machine that hosts are asked to make room for. */
export interface Bid {
  readonly reservationId: string;
  readonly resources: Resources;
  /** Hosts that have this image are preferred. */
  readonly imageDigest: string;
  /** Machines of one app are spread. */
  readonly app: string;
  readonly placement: Placement;
}

/** What is sent to a host with a bid. */
export interface BidTerms {
  readonly holdMs: number;
  /** How long an answer is of use. */
  readonly windowMs: number;
  /** W3C traceparent of the bid; empty for none. */
  readonly traceparent: string;
}

/** The offer of a host, which holds the capacity already. */
export interface Offer {
  readonly hostNumber: number;
  readonly hostName: string;
  /** gRPC address of its hostd. */
  readonly hostAddress: string;
  /** Epoch of the hold, sent back to the host with the award. */
  readonly epoch: bigint;
  readonly freeAfter: Resources;
  readonly imageLocal: boolean;
  /** 0 idle, 1 all CPUs busy. */
  readonly load: number;
  readonly warmVms: number;
  readonly machines: number;
  /** Machines of the same app on the host. */
  readonly appMachines: number;
  /** Starts, pulls and preparations under way. */
  readonly inFlight: number;
  readonly region: string;
  readonly zone: string;
}

/** Reasons that hosts give. Others count as `other`, so that metrics stay bounded. */
const DECLINES = [
  "no_cpu",
  "no_memory",
  "no_disk",
  "draining",
  "cordoned",
  "app_present",
  "busy",
  "other",
] as const;

/** Why a host made no offer. The scheduler adds `timeout` and `disconnected`. */
export type DeclineReason = (typeof DECLINES)[number] | "timeout" | "disconnected";

export interface Decline {
  readonly reason: DeclineReason;
  /** The largest request that would fit on the host now, if known. */
  readonly largest: Resources | undefined;
}

export type Answer =
  | { readonly kind: "offer"; readonly offer: Offer }
  | { readonly kind: "decline"; readonly decline: Decline };

/** The answer of a host that cannot answer any more. */
export const DISCONNECTED: Answer = {
  kind: "decline",
  decline: { reason: "disconnected", largest: undefined },
};

/** Returns the known reason that a host has sent, or `other`. */
export function declineReason(sent: string): DeclineReason {
  return DECLINES.find((reason) => reason === sent) ?? "other";
}

export function fits(needed: Resources, free: Resources): boolean {
  return needed.cpus <= free.cpus && needed.memoryMb <= free.memoryMb && needed.diskMb <= free.diskMb;
}

/**
 * Returns which of two hosts without room comes closer to `needed`: the one with more of its scarcest
 * resource, otherwise the one with more of all. The order of the two does not matter.
 */
export function closer(needed: Resources, a: Resources, b: Resources): Resources {
  const [inA, inB] = [shares(needed, a), shares(needed, b)];
  const difference = Math.min(...inA) - Math.min(...inB) || sum(inA) - sum(inB) || a.memoryMb - b.memoryMb;
  return difference >= 0 ? a : b;
}

/** Returns the available share of each resource, from 0 to 1. */
function shares(needed: Resources, free: Resources): readonly number[] {
  const share = (key: keyof Resources) =>
    needed[key] <= free[key] ? 1 : Math.max(0, free[key]) / needed[key];
  return [share("cpus"), share("memoryMb"), share("diskMb")];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
