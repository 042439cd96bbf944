import * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../grpc/messages/duration.ts";
import { mapFromProto } from "../grpc/messages/maps.ts";
import { defined, nonDefault } from "./given.ts";
import type { CheckSettings, LifeSettings } from "./service-config.ts";

/** Converts the members of a configuration that {@link LifeSettings} has. */
export function lifeFromProto(config: wire.MachineConfig | undefined): LifeSettings {
  const { checks, snapshot = "" } = config ?? {};
  const converted = [...(checks ?? [])].map(([name, check]) => [name, checkFromProto(check)] as const);
  return {
    ...nonDefault({ snapshot }),
    ...defined({
      checks: converted.length === 0 ? undefined : mapFromProto(new Map(converted)),
      maxLifetimeMs: durationFromProto(config?.maxLifetime),
      maxBusyMs: durationFromProto(config?.maxBusy),
    }),
  };
}

export function lifeToProto(
  life: LifeSettings,
): Pick<wire.MachineConfig, "checks" | "snapshot" | "maxLifetime" | "maxBusy"> {
  return {
    checks: new Map(Object.entries(life.checks ?? {}).map(([name, check]) => [name, checkToProto(check)])),
    snapshot: life.snapshot ?? "",
    maxLifetime: durationToProto(life.maxLifetimeMs),
    maxBusy: durationToProto(life.maxBusyMs),
  };
}

export function checkFromProto(check: wire.CheckConfig): CheckSettings {
  const { interval, timeout, gracePeriod, ...others } = check;
  return {
    ...nonDefault(others),
    ...defined({
      intervalMs: durationFromProto(interval),
      timeoutMs: durationFromProto(timeout),
      gracePeriodMs: durationFromProto(gracePeriod),
    }),
  };
}

export function checkToProto(check: CheckSettings): wire.CheckConfig {
  const { intervalMs, timeoutMs, gracePeriodMs, headers = [], ...others } = check;
  return {
    ...wire.CheckConfig.fromPartial(others),
    headers: headers.map(({ name, values }) => ({ name, values: [...values] })),
    interval: durationToProto(intervalMs),
    timeout: durationToProto(timeoutMs),
    gracePeriod: durationToProto(gracePeriodMs),
  };
}
