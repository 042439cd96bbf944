import { dataFolder, guestFolder } from "../../tools/lib/paths.ts";
import type { FleetOptions } from "../settings/fleet-options.ts";
import type { HostPlace } from "../settings/host-numbers.ts";
import { type Layout, layoutOf } from "../settings/layout.ts";
import { type FleetShape, localSettings, REGION } from "../settings/settings.ts";
import { type FleetState, readState } from "../supervisor/state.ts";
import { Fleet } from "./fleet.ts";

const USUAL_HOSTS = 2;

/** The layout of the fleet that the npm scripts speak of. */
export function localLayout(): Layout {
  return layoutOf(dataFolder());
}

/** That fleet, with as many regions and hosts as asked for, or as it had before: machines on the others would be out of reach. */
export function localFleet(options: FleetOptions, env: NodeJS.ProcessEnv = process.env): Fleet {
  const layout = localLayout();
  const shape = shapeOf(options, readState(layout.stateFile));
  return new Fleet(layout, localSettings(layout.folder, guestFolder(), shape, env));
}

/** The shape of a fleet: what is asked for, and where nothing is what it was. */
export function shapeOf(options: FleetOptions, before: FleetState | undefined): FleetShape {
  // A state that was written before there were regions has neither.
  const places: readonly Partial<HostPlace>[] = before?.hosts ?? [];
  const hostsBefore = places.map(({ number = 0, region = before?.region ?? REGION }) => ({ number, region }));
  const regionsBefore: FleetState["regions"] | undefined = before?.regions;
  const perRegion = [...Map.groupBy(hostsBefore, ({ region }) => region).values()].map(
    ({ length }) => length,
  );
  return {
    regions: options.regions ?? regionsBefore?.map(({ region }) => region) ?? [before?.region ?? REGION],
    hosts: options.hosts ?? (perRegion.length > 0 ? Math.max(...perRegion) : USUAL_HOSTS),
    schedulers: options.schedulers ?? regionsBefore?.[0]?.schedulers.length ?? 1,
    hostsBefore,
  };
}
