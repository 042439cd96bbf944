import type { ConcurrencyConfig, ServiceConfig } from "../../../../../gen/windhover/machines/v1/machine.ts";
import type { Violations } from "../../../../../lib/faults/violations.ts";
import { durationToProto } from "../../../../../lib/grpc/messages/duration.ts";
import type { JsonObject } from "../../json.ts";
import { durationMs, type ServiceJson } from "../config-schema.ts";
import { nonDefault } from "../non-default.ts";
import { checkFromJson, checkToJson, durationToJson } from "./convert-check.ts";
import { portFromJson, portToJson } from "./convert-port.ts";

/** Converts a service. @param at its path in the request */
export function serviceFromJson(service: ServiceJson, at: string, violations: Violations): ServiceConfig {
  return {
    protocol: service.protocol ?? "",
    internalPort: service.internal_port ?? 0,
    ports: (service.ports ?? []).map((port, i) => portFromJson(port, `${at}.ports[${i}]`, violations)),
    autostart: service.autostart,
    autostop: autostopFromJson(service.autostop),
    minMachinesRunning: service.min_machines_running ?? 0,
    concurrency: concurrencyFromJson(service.concurrency),
    checks: (service.checks ?? []).map(checkFromJson),
    idleTimeout: durationToProto(durationMs(service.idle_timeout)),
    wakeTimeout: durationToProto(durationMs(service.wake_timeout)),
  };
}

export function serviceToJson(service: ServiceConfig): JsonObject {
  const { protocol, internalPort, ports, autostart, autostop, concurrency, checks } = service;
  return {
    ...nonDefault({ protocol, internal_port: internalPort, ports: ports.map(portToJson) }),
    ...(autostart === undefined ? {} : { autostart }),
    ...(autostop === "" ? {} : { autostop: autostopToJson(autostop) }),
    ...nonDefault({ min_machines_running: service.minMachinesRunning }),
    ...(concurrency ? { concurrency: concurrencyToJson(concurrency) } : {}),
    ...nonDefault({
      checks: checks.map(checkToJson),
      idle_timeout: durationToJson(service.idleTimeout),
      wake_timeout: durationToJson(service.wakeTimeout),
    }),
  };
}

/** Converts what clients have written before there was `suspend`: false is `off`, true is `stop`. */
function autostopFromJson(autostop: ServiceJson["autostop"]): string {
  if (autostop === undefined) return "";
  return typeof autostop === "string" ? autostop : autostop ? "stop" : "off";
}

function autostopToJson(autostop: string): boolean | string {
  return autostop === "off" ? false : autostop === "stop" ? true : autostop;
}

function concurrencyFromJson(concurrency: ServiceJson["concurrency"]): ConcurrencyConfig | undefined {
  const { type = "", soft_limit: softLimit = 0, hard_limit: hardLimit = 0 } = concurrency ?? {};
  return type === "" && softLimit === 0 && hardLimit === 0 ? undefined : { type, softLimit, hardLimit };
}

function concurrencyToJson({ type, softLimit, hardLimit }: ConcurrencyConfig): JsonObject {
  return nonDefault({ type, soft_limit: softLimit, hard_limit: hardLimit });
}
