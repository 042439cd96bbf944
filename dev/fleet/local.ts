import { dataFolder, guestFolder } from "../../tools/lib/paths.ts";
import type { FleetOptions } from "../settings/fleet-options.ts";
import { layoutOf } from "../settings/layout.ts";
import { type FleetShape, localSettings, REGION } from "../settings/settings.ts";
import { type FleetState, readState } from "../supervisor/state.ts";
import { Fleet } from "./fleet.ts";

const DEFAULT_HOSTS = 2;

/** Makes the fleet of the npm scripts, in the shape of the options, or as it was. */
export function localFleet(options: FleetOptions, env: NodeJS.ProcessEnv = process.env): Fleet {
  const layout = layoutOf(dataFolder());
  const shape = shapeOf(options, readState(layout.stateFile));
  return new Fleet(layout, localSettings(layout.folder, guestFolder(), shape, env));
}

/** Decides the shape of a fleet: by the options, else as it was. */
export function shapeOf(options: FleetOptions, before: FleetState | undefined): FleetShape {
  const hostsBefore = before?.hosts.map(({ number, region }) => ({ number, region })) ?? [];
  const perRegion = [...Map.groupBy(hostsBefore, ({ region }) => region).values()].map((each) => each.length);
  return {
    regions: options.regions ?? before?.regions.map(({ region }) => region) ?? [REGION],
    hosts: options.hosts ?? (perRegion.length > 0 ? Math.max(...perRegion) : DEFAULT_HOSTS),
    schedulers: options.schedulers ?? before?.regions[0]?.schedulers.length ?? 1,
    hostsBefore,
  };
}
