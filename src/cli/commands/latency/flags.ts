/** The flags of a query. */
export interface LatencyFlags {
  readonly kind?: string;
  readonly since?: string;
  readonly until?: string;
  readonly path?: readonly string[];
  readonly host?: readonly string[];
  readonly app?: readonly string[];
  readonly org?: readonly string[];
  readonly image?: readonly string[];
  readonly region?: readonly string[];
  readonly hoverVersion?: readonly string[];
  readonly size?: readonly string[];
  readonly machine?: readonly string[];
  readonly reason?: readonly string[];
  readonly hop?: readonly string[];
  readonly queue?: readonly string[];
  readonly concurrency?: readonly string[];
  readonly outcome?: string;
  readonly min?: string;
  readonly max?: string;
  readonly by?: string;
}

/** Parameters of a query by the names of their flags, in the order of the page's URL. */
const PARAMETERS = [
  ...(["kind", "since", "until", "path", "host", "image", "app", "org", "region"] as const),
  ...(["hoverVersion", "size", "machine", "reason", "hop", "queue", "concurrency"] as const),
  ...(["outcome", "min", "max"] as const),
];

/** Converts flags to the parameters of the console's queries and of its page. */
export function parametersOf(flags: LatencyFlags): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const name of PARAMETERS) {
    const given = flags[name] ?? [];
    for (const value of typeof given === "string" ? [given] : given)
      parameters.append(name === "hoverVersion" ? "version" : name, value);
  }
  return parameters;
}
