import { parseArgs } from "node:util";
import { UserError } from "./main.ts";

/** What `npm start` and `npm run up` take. */
export interface FleetOptions {
  /** `--hosts N`; undefined: as many as last time. */
  readonly hosts: number | undefined;
}

/** Reads the arguments. `npm start --hosts 3` reaches us as a variable, `npm start -- --hosts 3` as arguments: both are meant. */
export function fleetOptions(args: readonly string[], env: NodeJS.ProcessEnv): FleetOptions {
  const text = parse(args).hosts ?? env["npm_config_hosts"];
  if (text === undefined || text === "") return { hosts: undefined };
  if (!/^\d+$/.test(text)) throw new UserError(`--hosts takes a number, e.g. --hosts 3; it is "${text}".`);
  return { hosts: Number(text) };
}

function parse(args: readonly string[]): { readonly hosts?: string | undefined } {
  try {
    return parseArgs({ args: [...args], options: { hosts: { type: "string" } } }).values;
  } catch (cause) {
    throw new UserError(`${cause instanceof Error ? cause.message : cause} Known here: --hosts N.`, {
      cause,
    });
  }
}
