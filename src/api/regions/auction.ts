import type { Placement } from "./placement.ts";

export interface AuctionRequest {
  readonly reservationId: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly imageDigest: string;
  readonly app: string;
  readonly excludedHosts: readonly number[];
  /** Absent: any host. */
  readonly placement?: Placement | undefined;
  /** Id of the create, which claims the best offer together with the auction. */
  readonly claimant: string;
}

export interface Offer {
  readonly hostNumber: number;
  readonly hostName: string;
  readonly hostAddress: string;
  /** Epoch of the hold, decimal; sent back with the award. */
  readonly epoch: string;
}

export interface AuctionResult {
  /** Best first. */
  readonly offers: readonly Offer[];
  /** Host of the offer that the auction has claimed. Absent: none. */
  readonly claimedHost?: number;
}
