import * as z from "zod";
import type {
  CheckConfig,
  HttpOptions,
  PortConfig,
  ServiceConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import { flag, isObject, list, object, text, textList, texts, time, whole } from "./schema-fields.ts";

/** Schemas of services and checks in a file, in the shape that `hover machine status --json` prints. */

const CHECK = object({
  ...{ type: text, kind: text, port: whole, interval: time, timeout: time, grace_period: time },
  ...{ method: text, path: text, protocol: text, tls_server_name: text, tls_skip_verify: flag },
  ...{ headers: list(object({ name: text, values: textList })), status: whole, body: text },
});

const HTTP = object({
  ...{ h2_backend: flag, idle_timeout: time, headers_read_timeout: time },
  ...{ response_headers: texts, pristine_response: flag },
});

const PORT = object({
  ...{ port: whole, start_port: whole, end_port: whole, handlers: textList, force_https: flag },
  tls_options: object({ alpn: textList, versions: textList, default_self_signed: flag }).optional(),
  http_options: HTTP.optional(),
  proxy_proto_options: object({ version: text }).optional(),
});

export const SERVICE = object({
  protocol: text,
  internal_port: whole,
  ports: list(PORT),
  autostart: z.boolean("must be true or false").optional(),
  autostop: text,
  min_machines_running: whole,
  concurrency: object({ type: text, soft_limit: whole, hard_limit: whole }).optional(),
  checks: list(CHECK),
  idle_timeout: time,
  wake_timeout: time,
});

/** Checks of a machine by name. A record would drop one of the name `__proto__`. */
export const CHECKS = z
  .preprocess(
    (value, context) => {
      if (isObject(value) && Object.hasOwn(value, "__proto__"))
        context.addIssue({ code: "custom", message: "is no name for a check", path: ["__proto__"] });
      return value;
    },
    z.record(z.string(), CHECK, "must be an object"),
  )
  .prefault({})
  .transform(
    (checks) => new Map(Object.entries(checks).map(([name, check]) => [name, checkFromFile(check)])),
  );

export function serviceFromFile(service: z.output<typeof SERVICE>): ServiceConfig {
  const { protocol, autostart, autostop, concurrency } = service;
  return {
    protocol,
    internalPort: service.internal_port,
    ports: service.ports.map(portFromFile),
    autostart,
    autostop,
    minMachinesRunning: service.min_machines_running,
    concurrency: concurrency && {
      type: concurrency.type,
      softLimit: concurrency.soft_limit,
      hardLimit: concurrency.hard_limit,
    },
    checks: service.checks.map(checkFromFile),
    idleTimeout: service.idle_timeout,
    wakeTimeout: service.wake_timeout,
  };
}

function portFromFile(port: z.output<typeof PORT>): PortConfig {
  const { tls_options: tls, http_options: http } = port;
  return {
    port: port.port,
    startPort: port.start_port,
    endPort: port.end_port,
    handlers: port.handlers,
    forceHttps: port.force_https,
    tlsOptions: tls && {
      alpn: tls.alpn,
      versions: tls.versions,
      defaultSelfSigned: tls.default_self_signed,
    },
    httpOptions: http && httpFromFile(http),
    proxyProtoOptions: port.proxy_proto_options,
  };
}

function httpFromFile(http: z.output<typeof HTTP>): HttpOptions {
  return {
    h2Backend: http.h2_backend,
    idleTimeout: http.idle_timeout,
    headersReadTimeout: http.headers_read_timeout,
    responseHeaders: http.response_headers,
    pristineResponse: http.pristine_response,
  };
}

function checkFromFile(check: z.output<typeof CHECK>): CheckConfig {
  const { type, kind, port, method, path, protocol, headers, status, body } = check;
  return {
    ...{ type, kind, port, method, path, protocol, headers, status, body },
    interval: check.interval,
    timeout: check.timeout,
    gracePeriod: check.grace_period,
    tlsServerName: check.tls_server_name,
    tlsSkipVerify: check.tls_skip_verify,
  };
}
