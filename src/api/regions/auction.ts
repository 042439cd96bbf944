import type { Placement } from "./placement.ts";

/** What an auction is asked to find a host for. */
export interface AuctionRequest {
  readonly reservationId: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly imageDigest: string;
  readonly app: string;
  readonly excludedHosts: readonly number[];
  /** Absent: any host. */
  readonly placement?: Placement | undefined;
  /** Who claims the best offer together with the auction: the id of the create. */
  readonly claimant: string;
}

/** A host's offer in an auction. */
export interface Offer {
  readonly hostNumber: number;
  readonly hostName: string;
  readonly hostAddress: string;
  /** Epoch of the hold, decimal; sent back with the award. */
  readonly epoch: string;
}

/** The result of an auction. */
export interface AuctionResult {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** Host of the offer that the auction has claimed. Absent: none. */
  readonly claimedHost?: number;
}
