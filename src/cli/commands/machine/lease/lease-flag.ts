/** The flag of commands that change a machine on which a lease may be held. */
export interface LeaseFlag {
  readonly leaseNonce?: string;
}

export const LEASE_FLAG = [
  "--lease-nonce <nonce>",
  "nonce of the lease that you hold on it (hover machine leases acquire)",
] as const;
