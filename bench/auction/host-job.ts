/** The region that all of it plays in. */
export const REGION = "bench";

/** What a process of simulated hosts is told, once. */
export interface HostSettings {
  /** The scheduler. */
  readonly address: string;
  /** PEM of the key that its tokens are made with. */
  readonly signingKey: string;
  /** Number of its first host, and how many there are. */
  readonly first: number;
  readonly count: number;
}

/** An award: which host's hold becomes which machine. */
export interface AwardJob {
  readonly host: number;
  readonly reservationId: string;
  /** Decimal. */
  readonly epoch: string;
}

/** What it is told later on: awards to make, or to count. */
export type HostJob =
  | { readonly kind: "award"; readonly id: number; readonly award: AwardJob }
  | { readonly kind: "count" };

/** What it says. */
export type HostWord =
  | { readonly kind: "attached"; readonly hosts: number }
  | { readonly kind: "awarded"; readonly id: number; readonly problem?: string }
  /** Bids, answers and releases that its hosts have had so far. */
  | { readonly kind: "counted"; readonly messages: number };
