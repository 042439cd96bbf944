import * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../grpc/messages/duration.ts";
import { mapFromProto, mapToProto } from "../grpc/messages/maps.ts";
import { checkFromProto, checkToProto } from "./convert-check.ts";
import { defined, nonDefault } from "./given.ts";
import type { HttpSettings, PortSettings, ServiceSettings } from "./service-config.ts";

/** Converts what proxies do with a service, without protocol and port of the guest. */
export function serviceSettingsFromProto(service: wire.ServiceConfig): ServiceSettings {
  const { autostop, minMachinesRunning, autostart, concurrency } = service;
  const ports = service.ports.map(portFromProto);
  const checks = service.checks.map(checkFromProto);
  return {
    ...nonDefault({ ports, autostop, minMachinesRunning, checks }),
    ...defined({
      autostart,
      concurrency: concurrency && nonDefault(concurrency),
      idleTimeoutMs: durationFromProto(service.idleTimeout),
      wakeTimeoutMs: durationFromProto(service.wakeTimeout),
    }),
  };
}

export function serviceToProto(
  service: ServiceSettings & { readonly protocol: string; readonly internalPort: number },
): wire.ServiceConfig {
  return {
    protocol: service.protocol,
    internalPort: service.internalPort,
    ports: (service.ports ?? []).map(portToProto),
    autostart: service.autostart,
    autostop: service.autostop ?? "",
    minMachinesRunning: service.minMachinesRunning ?? 0,
    concurrency: service.concurrency && wire.ConcurrencyConfig.fromPartial(service.concurrency),
    checks: (service.checks ?? []).map(checkToProto),
    idleTimeout: durationToProto(service.idleTimeoutMs),
    wakeTimeout: durationToProto(service.wakeTimeoutMs),
  };
}

function portFromProto(port: wire.PortConfig): PortSettings {
  const { tlsOptions: tls, httpOptions: http, proxyProtoOptions: proxyProto, ...others } = port;
  return {
    ...nonDefault(others),
    ...defined({
      tls: tls && nonDefault(tls),
      http: http && httpFromProto(http),
      proxyProto: proxyProto && nonDefault(proxyProto),
    }),
  };
}

function portToProto(port: PortSettings): wire.PortConfig {
  const { tls, http, proxyProto } = port;
  return {
    port: port.port ?? 0,
    startPort: port.startPort ?? 0,
    endPort: port.endPort ?? 0,
    handlers: [...(port.handlers ?? [])],
    forceHttps: port.forceHttps ?? false,
    tlsOptions: tls && {
      alpn: [...(tls.alpn ?? [])],
      versions: [...(tls.versions ?? [])],
      defaultSelfSigned: tls.defaultSelfSigned ?? false,
    },
    httpOptions: http && {
      h2Backend: http.h2Backend ?? false,
      idleTimeout: durationToProto(http.idleTimeoutMs),
      headersReadTimeout: durationToProto(http.headersReadTimeoutMs),
      responseHeaders: mapToProto(http.responseHeaders),
      pristineResponse: http.pristineResponse ?? false,
    },
    proxyProtoOptions: proxyProto && { version: proxyProto.version ?? "" },
  };
}

function httpFromProto(http: wire.HttpOptions): HttpSettings {
  const { h2Backend, pristineResponse, responseHeaders } = http;
  return {
    ...nonDefault({ h2Backend, pristineResponse }),
    ...defined({
      idleTimeoutMs: durationFromProto(http.idleTimeout),
      headersReadTimeoutMs: durationFromProto(http.headersReadTimeout),
      responseHeaders: responseHeaders.size === 0 ? undefined : mapFromProto(responseHeaders),
    }),
  };
}
