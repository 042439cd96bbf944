import type { Placement } from "./placement.ts";

/** Amounts of resources. Memory and disk in MB. */
export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** What a host is asked for. */
export interface Bid {
  readonly reservationId: string;
  readonly resources: Resources;
  /** Digest of the image; hosts that have it are preferred. */
  readonly imageDigest: string;
  /** App the machine belongs to: its machines are spread. */
  readonly app: string;
  readonly placement: Placement;
}

/** What a host offers: it holds the capacity already. */
export interface Offer {
  readonly hostNumber: number;
  readonly hostName: string;
  /** gRPC address of its hostd. */
  readonly hostAddress: string;
  /** Epoch of the hold; goes back to the host with the award. */
  readonly epoch: bigint;
  /** Free after the hold. */
  readonly freeAfter: Resources;
  readonly imageLocal: boolean;
  /** 0 idle, 1 all CPUs busy. */
  readonly load: number;
  /** Warm VMs of the shape. */
  readonly warmVms: number;
  /** Machines on the host. */
  readonly machines: number;
  /** Machines of the same app on the host. */
  readonly appMachines: number;
  /** Starts, pulls and the like that are under way there. */
  readonly inFlight: number;
  readonly region: string;
  readonly zone: string;
}

/** The reasons hosts give for a no. One that is not among them counts as `other`, so that metrics stay bounded. */
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

/** Why a host made no offer; `silent` and `lost` are the scheduler's own words: no answer in time, stream ended before it. */
export type DeclineReason = (typeof DECLINES)[number] | "silent" | "lost";

/** A host's no. */
export interface Decline {
  readonly reason: DeclineReason;
  /** The largest that would fit on the host now, when it said so. */
  readonly largest: Resources | undefined;
}

/** The reason a host wrote, made one of the known ones. */
export function declineReason(written: string): DeclineReason {
  return DECLINES.find((reason) => reason === written) ?? "other";
}

/** Whether `needed` fits into `free`. */
export function fits(needed: Resources, free: Resources): boolean {
  return needed.cpus <= free.cpus && needed.memoryMb <= free.memoryMb && needed.diskMb <= free.diskMb;
}

/**
 * Which of two hosts that have no room comes closer to what is needed: the one with more of its scarcest resource, or if they
 * are equal in that, with more of all. Does not depend on the order in which they are asked.
 */
export function closer(needed: Resources, a: Resources, b: Resources): Resources {
  const [inA, inB] = [shares(needed, a), shares(needed, b)];
  const difference = Math.min(...inA) - Math.min(...inB) || sum(inA) - sum(inB) || a.memoryMb - b.memoryMb;
  return difference >= 0 ? a : b;
}

/** How much of each resource there is: from 0 to 1, enough. */
function shares(needed: Resources, free: Resources): readonly number[] {
  const share = (key: keyof Resources) =>
    needed[key] <= free[key] ? 1 : Math.max(0, free[key]) / needed[key];
  return [share("cpus"), share("memoryMb"), share("diskMb")];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
