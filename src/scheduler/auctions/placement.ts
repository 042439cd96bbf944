/** Whether machines go where there is most room, or fill one host after the other. */
export type Strategy = "spread" | "pack";

/** Constraints and wishes as to the host of a machine. */
export interface Placement {
  /** Labels that the host must have, with these values. */
  readonly hostLabels: Readonly<Record<string, string>>;
  /** Only the host of this number, e.g. the one that has the data. */
  readonly hostNumber: number | undefined;
  readonly strategy: Strategy;
  /** Never two machines of the app on one host. The host decides: only it knows at once what it has. */
  readonly distinctHosts: boolean;
}

/** No constraint. */
export const ANYWHERE: Placement = {
  hostLabels: {},
  hostNumber: undefined,
  strategy: "spread",
  distinctHosts: false,
};

/** Whether a host is one that was asked for. */
export function matches(
  host: { readonly number: number; readonly labels: Readonly<Record<string, string>> },
  { hostLabels, hostNumber }: Placement,
): boolean {
  if (hostNumber !== undefined && hostNumber !== host.number) return false;
  for (const key in hostLabels) if (host.labels[key] !== hostLabels[key]) return false;
  return true;
}

/** The constraints in words; empty when there are none that exclude a host beforehand. */
export function constraintsIn({ hostLabels, hostNumber }: Placement): string {
  const labels = Object.entries(hostLabels).map(([key, value]) => `${key}=${value}`);
  return [
    ...(hostNumber === undefined ? [] : [`number ${hostNumber}`]),
    ...(labels.length === 0 ? [] : [`label ${labels.join(" and ")}`]),
  ].join(" and ");
}
