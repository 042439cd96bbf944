import type {
  HttpOptions,
  PortConfig,
  ProxyProtoOptions,
  TlsOptions,
} from "../../../../../gen/windhover/machines/v1/machine.ts";
import type { Violations } from "../../../../../lib/faults/violations.ts";
import { durationFromProto, durationToProto } from "../../../../../lib/grpc/messages/duration.ts";
import { isList, type Json, type JsonObject } from "../../json.ts";
import type { PortJson } from "../config-schema.ts";
import { nonDefault } from "../non-default.ts";

/** Converts a port of proxies. @param at its path in the request */
export function portFromJson(port: PortJson, at: string, violations: Violations): PortConfig {
  return {
    port: port.port ?? 0,
    startPort: port.start_port ?? 0,
    endPort: port.end_port ?? 0,
    handlers: port.handlers ?? [],
    forceHttps: port.force_https ?? false,
    tlsOptions: tlsFromJson(port.tls_options),
    httpOptions: httpFromJson(port.http_options, `${at}.http_options`, violations),
    proxyProtoOptions: proxyProtoFromJson(port.proxy_proto_options),
  };
}

export function portToJson(port: PortConfig): JsonObject {
  const { port: one, startPort, endPort, handlers, forceHttps } = port;
  return {
    ...nonDefault({ port: one, start_port: startPort, end_port: endPort, handlers }),
    ...nonDefault({ force_https: forceHttps }),
    ...(port.tlsOptions ? { tls_options: tlsToJson(port.tlsOptions) } : {}),
    ...(port.httpOptions ? { http_options: httpToJson(port.httpOptions) } : {}),
    ...(port.proxyProtoOptions ? { proxy_proto_options: nonDefault({ ...port.proxyProtoOptions }) } : {}),
  };
}

/** Options without a member that means something are none, as in what encoders send. */
function tlsFromJson(options: PortJson["tls_options"]): TlsOptions | undefined {
  const { alpn = [], versions = [], default_self_signed: defaultSelfSigned = false } = options ?? {};
  if (alpn.length + versions.length === 0 && !defaultSelfSigned) return undefined;
  return { alpn, versions, defaultSelfSigned };
}

function tlsToJson({ alpn, versions, defaultSelfSigned }: TlsOptions): JsonObject {
  return nonDefault({ alpn, versions, default_self_signed: defaultSelfSigned });
}

function httpFromJson(
  options: PortJson["http_options"],
  at: string,
  violations: Violations,
): HttpOptions | undefined {
  const responseHeaders = headersFromJson(
    options?.response?.headers ?? {},
    `${at}.response.headers`,
    violations,
  );
  const http = {
    h2Backend: options?.h2_backend ?? false,
    idleTimeout: secondsFromJson(options?.idle_timeout),
    headersReadTimeout: secondsFromJson(options?.headers_read_timeout),
    responseHeaders,
    pristineResponse: options?.response?.pristine ?? false,
  };
  const { h2Backend, idleTimeout, headersReadTimeout, pristineResponse } = http;
  const isAny = h2Backend || pristineResponse || idleTimeout || headersReadTimeout;
  return isAny || responseHeaders.size > 0 ? http : undefined;
}

function httpToJson(http: HttpOptions): JsonObject {
  const headers = Object.fromEntries(
    [...http.responseHeaders].map(([name, value]) => [name, value === "" ? false : value]),
  );
  const response = {
    ...(http.responseHeaders.size > 0 ? { headers } : {}),
    ...nonDefault({ pristine: http.pristineResponse }),
  };
  return {
    ...nonDefault({
      h2_backend: http.h2Backend,
      idle_timeout: secondsToJson(http.idleTimeout),
      headers_read_timeout: secondsToJson(http.headersReadTimeout),
    }),
    ...(Object.keys(response).length > 0 ? { response } : {}),
  };
}

/** Reads headers: text, a list of texts, or false, which removes one. Nothing and empty text are none. */
function headersFromJson(headers: object, at: string, violations: Violations): Map<string, string> {
  const read = new Map<string, string>();
  for (const [name, value] of Object.entries(headers) as [string, Json | undefined][]) {
    const text = value === false ? "" : isList(value) ? textOf(value) : value;
    if (value === "" || text === null || text === undefined) continue;
    const isText = typeof text === "string";
    const rule = "must be text, a list of texts, or false to remove the header";
    violations.check(isText, `${at}[${JSON.stringify(name.slice(0, 64))}]`, rule);
    if (isText) read.set(name, text);
  }
  return read;
}

/** Joins values as HTTP does. Undefined without any. */
function textOf(values: readonly Json[]): Json | undefined {
  if (values.length === 0) return undefined;
  return values.every((value) => typeof value === "string") ? values.join(", ") : values;
}

function proxyProtoFromJson(options: PortJson["proxy_proto_options"]): ProxyProtoOptions | undefined {
  return options?.version ? { version: options.version } : undefined;
}

function secondsFromJson(seconds: number | undefined) {
  return durationToProto(seconds ? seconds * 1_000 : undefined);
}

function secondsToJson(duration: HttpOptions["idleTimeout"]): number | undefined {
  const ms = durationFromProto(duration);
  return ms === undefined ? undefined : ms / 1_000;
}
