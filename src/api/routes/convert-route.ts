import type * as wire from "../../gen/windhover/admin/v1/routes.ts";
import { configFromProto, configToProto } from "../machines/config/convert-config.ts";
import { stateToProto } from "../machines/convert-machine.ts";
import type { AppRoute, HostRoute, MachineRoute } from "./route.ts";

const NO_CONFIG = configFromProto(undefined);

export function appToProto({ name, org, hostnames }: AppRoute): wire.AppRoute {
  return { name, org, hostnames: [...hostnames] };
}

export function machineToProto({ services, state, generation, ...route }: MachineRoute): wire.MachineRoute {
  return {
    ...route,
    services: configToProto({ ...NO_CONFIG, services }).services,
    state: stateToProto(state),
    generation: BigInt(generation),
  };
}

export function hostToProto({ number, name, region, address }: HostRoute): wire.HostRoute {
  return { number, name, region, address };
}
