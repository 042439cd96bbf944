import type { CheckConfig } from "../../../../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../../../../../lib/grpc/messages/duration.ts";
import { formatDuration } from "../../duration.ts";
import type { JsonObject } from "../../json.ts";
import { type CheckJson, durationMs, explicitMs } from "../config-schema.ts";
import { nonDefault } from "../non-default.ts";

export function checkFromJson(check: CheckJson): CheckConfig {
  return {
    type: check.type ?? "",
    kind: check.kind ?? "",
    port: check.port ?? 0,
    interval: durationToProto(durationMs(check.interval)),
    timeout: durationToProto(durationMs(check.timeout)),
    gracePeriod: durationToProto(explicitMs(check.grace_period)),
    method: check.method ?? "",
    path: check.path ?? "",
    protocol: check.protocol ?? "",
    tlsServerName: check.tls_server_name ?? "",
    tlsSkipVerify: check.tls_skip_verify ?? false,
    headers: (check.headers ?? []).map(({ name = "", values = [] }) => ({ name, values })),
    status: check.status ?? 0,
    body: check.body ?? "",
  };
}

export function checkToJson(check: CheckConfig): JsonObject {
  const { type, kind, port, method, path, protocol, status, body } = check;
  return nonDefault({
    ...{ type, kind, port },
    interval: durationToJson(check.interval),
    timeout: durationToJson(check.timeout),
    grace_period: durationToJson(check.gracePeriod),
    ...{ method, path, protocol },
    tls_server_name: check.tlsServerName,
    tls_skip_verify: check.tlsSkipVerify,
    headers: check.headers.map(({ name, values }) => nonDefault({ name, values })),
    ...{ status, body },
  });
}

/** Writes a duration as Go does; undefined when it is absent. */
export function durationToJson(duration: CheckConfig["interval"]): string | undefined {
  const ms = durationFromProto(duration);
  return ms === undefined ? undefined : formatDuration(ms);
}
