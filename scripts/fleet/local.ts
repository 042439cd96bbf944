import type { FleetOptions } from "../lib/options.ts";
import { dataFolder } from "../lib/paths.ts";
import { guestFolder } from "../setup/setup.ts";
import { Fleet } from "./fleet.ts";
import { type Layout, layoutOf } from "./layout.ts";
import { localSettings } from "./settings.ts";
import { readState } from "./state.ts";

const USUAL_HOSTS = 2;

/** The layout of the fleet that the npm scripts speak of. */
export function localLayout(): Layout {
  return layoutOf(dataFolder());
}

/** That fleet, with as many hosts as asked for, or as it had before: machines on the others would be out of reach. */
export function localFleet(options: FleetOptions, env: NodeJS.ProcessEnv = process.env): Fleet {
  const layout = localLayout();
  const hosts = options.hosts ?? readState(layout.stateFile)?.hosts.length ?? USUAL_HOSTS;
  return new Fleet(layout, localSettings(layout.folder, guestFolder(), hosts, env));
}
