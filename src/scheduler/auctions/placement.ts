/** `spread` prefers hosts with the most room, `pack` those with the least. */
export type Strategy = "spread" | "pack";

/** Constraints on the host of a machine, and preferences. */
export interface Placement {
  /** Labels that the host must have, with these values. */
  readonly hostLabels: Readonly<Record<string, string>>;
  /** Allows only the host of this number. */
  readonly hostNumber: number | undefined;
  readonly strategy: Strategy;
  /** Never two machines of the app on one host. Decided by the host, which alone knows in time. */
  readonly distinctHosts: boolean;
}

export const ANYWHERE: Placement = {
  hostLabels: {},
  hostNumber: undefined,
  strategy: "spread",
  distinctHosts: false,
};

/** Whether a host has the number and the labels of a placement. */
export function matches(
  host: { readonly number: number; readonly labels: Readonly<Record<string, string>> },
  { hostLabels, hostNumber }: Placement,
): boolean {
  if (hostNumber !== undefined && hostNumber !== host.number) return false;
  for (const key in hostLabels) if (host.labels[key] !== hostLabels[key]) return false;
  return true;
}

/** Describes number and labels for an error message; empty when there are none. */
export function describeConstraints({ hostLabels, hostNumber }: Placement): string {
  const labels = Object.entries(hostLabels).map(([key, value]) => `${key}=${value}`);
  return [
    ...(hostNumber === undefined ? [] : [`number ${hostNumber}`]),
    ...(labels.length === 0 ? [] : [`label ${labels.join(" and ")}`]),
  ].join(" and ");
}
