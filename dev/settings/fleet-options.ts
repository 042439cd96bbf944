import { parseArgs } from "node:util";
import { UserError } from "../../tools/lib/main.ts";

/** What `npm start` and `npm run up` take. Undefined: as last time. */
export interface FleetOptions {
  /** `--hosts N`, in each region. */
  readonly hosts: number | undefined;
  /** `--regions ord,gru`; the first has what there is one of. */
  readonly regions: readonly string[] | undefined;
  /** `--schedulers N`: replicas in each region. */
  readonly schedulers: number | undefined;
}

/** Reads the arguments. `npm start --hosts 3` reaches us as a variable, `npm start -- --hosts 3` as arguments: both are meant. */
export function fleetOptions(args: readonly string[], env: NodeJS.ProcessEnv): FleetOptions {
  const given = parse(args);
  const regions = (given.regions ?? env["npm_config_regions"] ?? "").trim();
  return {
    hosts: count("hosts", given.hosts ?? env["npm_config_hosts"]),
    regions: regions === "" ? undefined : regions.split(",").map((region) => region.trim()),
    schedulers: count("schedulers", given.schedulers ?? env["npm_config_schedulers"]),
  };
}

/** The arguments that say the same. */
export function argumentsOf({ hosts, regions, schedulers }: FleetOptions): readonly string[] {
  return [
    ...(hosts === undefined ? [] : ["--hosts", String(hosts)]),
    ...(regions === undefined ? [] : ["--regions", regions.join(",")]),
    ...(schedulers === undefined ? [] : ["--schedulers", String(schedulers)]),
  ];
}

function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d+$/.test(text))
    throw new UserError(`--${name} takes a number, e.g. --${name} 3; it is "${text}".`);
  return Number(text);
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  try {
    return parseArgs({ args: [...args], options: { hosts: string, regions: string, schedulers: string } })
      .values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(`${why} Known here: --hosts N, --regions ord,gru, --schedulers N.`, { cause });
  }
}
