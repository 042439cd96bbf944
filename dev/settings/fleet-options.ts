import { parseOptions, wholeNumber } from "../../tools/lib/options.ts";

const USAGE = "Options: --hosts N, --regions ord,gru, --schedulers N.";

/** Options of `npm start` and `npm run up`. Undefined: as last time. */
export interface FleetOptions {
  /** `--hosts N`, in each region. */
  readonly hosts: number | undefined;
  /** `--regions ord,gru`. */
  readonly regions: readonly string[] | undefined;
  /** `--schedulers N`: replicas in each region. */
  readonly schedulers: number | undefined;
}

/** Reads the arguments, and the variables that `npm start --hosts 3` (without `--`) passes. */
export function fleetOptions(args: readonly string[], env: NodeJS.ProcessEnv): FleetOptions {
  const given = parseOptions(args, ["hosts", "regions", "schedulers"], USAGE);
  const option = (name: keyof FleetOptions) => given[name] ?? (env[`npm_config_${name}`] || undefined);
  return {
    hosts: wholeNumber("hosts", option("hosts"), 0, USAGE),
    regions: option("regions")
      ?.split(",")
      .map((region) => region.trim()),
    schedulers: wholeNumber("schedulers", option("schedulers"), 0, USAGE),
  };
}

export function argumentsOf(options: FleetOptions): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
}
