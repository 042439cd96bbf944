import type {
  CheckSettings,
  Concurrency,
  HttpSettings,
  PortSettings,
  ServiceSettings,
  TlsSettings,
} from "./service-config.ts";

export type Autostop = "off" | "stop" | "suspend";

/** What a proxy does with connections: see windhover.machines.v1.PortConfig. */
export type Handler = "http" | "tls" | "pg_tls" | "proxy_proto";

/** What proxies do with a service, with the defaults of the contract. Checks are the hosts'. */
export interface CompleteService extends Required<Omit<ServiceSettings, "checks">> {
  readonly ports: readonly CompletePort[];
  readonly autostop: Autostop;
  readonly concurrency: CompleteConcurrency;
}

/** Either `port`, or both ends of a range; the others are 0. */
export interface CompletePort extends Required<PortSettings> {
  readonly handlers: readonly Handler[];
  readonly tls: CompleteTls;
  readonly http: Required<HttpSettings>;
  readonly proxyProto: { readonly version: "v1" | "v2" };
}

export interface CompleteTls extends Required<TlsSettings> {
  /** What is offered, best first. */
  readonly alpn: readonly ("h2" | "http/1.1")[];
  readonly versions: readonly ("TLSv1.2" | "TLSv1.3")[];
  /** Serves the proxy's default certificate to host names without one. */
  readonly defaultSelfSigned: boolean;
}

export interface CompleteConcurrency extends Required<Concurrency> {
  readonly type: "connections" | "requests";
  /** 0: none. */
  readonly hardLimit: number;
}

/** A check with the defaults of the contract. Its kind depends on whose check it is. */
export interface CompleteCheck extends Required<Omit<CheckSettings, "kind">> {
  readonly type: "tcp" | "http";
}

const SOFT_LIMIT = 20;
const IDLE_TIMEOUT_MS = 300_000;
const WAKE_TIMEOUT_MS = 60_000;
const HTTP_IDLE_TIMEOUT_MS = 60_000;
const HEADERS_READ_TIMEOUT_MS = 15_000;
const HANDLERS: ReadonlySet<string> = new Set<Handler>(["http", "tls", "pg_tls", "proxy_proto"]);
const ALPN = ["h2", "http/1.1"] as const;
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
export const CHECK_INTERVAL_MS = 15_000;
const CHECK_TIMEOUT_MS = 10_000;
const CHECK_GRACE_MS = 10_000;

/**
 * Fills in what a service leaves out. Words that this version does not know count as left out; a
 * port whose handlers or TLS versions are all of that kind is left out itself.
 */
export function serviceWithDefaults(service: ServiceSettings): CompleteService {
  const { autostop } = service;
  return {
    ports: (service.ports ?? []).filter(isServable).map(portWithDefaults),
    autostart: service.autostart ?? false,
    autostop: autostop === "stop" || autostop === "suspend" ? autostop : "off",
    minMachinesRunning: service.minMachinesRunning ?? 0,
    concurrency: concurrencyWithDefaults(service.concurrency),
    idleTimeoutMs: service.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    wakeTimeoutMs: service.wakeTimeoutMs ?? WAKE_TIMEOUT_MS,
  };
}

/** Fills in what a check leaves out. A port of 0 is that of its service. */
export function checkWithDefaults(check: CheckSettings): CompleteCheck {
  return {
    type: check.type === "http" ? "http" : "tcp",
    port: check.port ?? 0,
    intervalMs: check.intervalMs ?? CHECK_INTERVAL_MS,
    timeoutMs: check.timeoutMs ?? CHECK_TIMEOUT_MS,
    gracePeriodMs: check.gracePeriodMs ?? CHECK_GRACE_MS,
    method: check.method || "GET",
    path: check.path || "/",
    protocol: check.protocol || "http",
    tlsServerName: check.tlsServerName ?? "",
    tlsSkipVerify: check.tlsSkipVerify ?? false,
    headers: check.headers ?? [],
    status: check.status ?? 0,
    body: check.body ?? "",
  };
}

/** Otherwise bytes would pass through, or an old version of TLS be offered, that nobody has asked for. */
function isServable({ handlers = [], tls }: PortSettings): boolean {
  const versions = tls?.versions ?? [];
  const hasHandler = handlers.length === 0 || handlers.some((each) => HANDLERS.has(each));
  return hasHandler && (versions.length === 0 || VERSIONS.some((each) => versions.includes(each)));
}

function portWithDefaults(port: PortSettings): CompletePort {
  const { handlers = [], proxyProto } = port;
  return {
    port: port.port ?? 0,
    startPort: port.startPort ?? 0,
    endPort: port.endPort ?? 0,
    handlers: handlers.filter((each): each is Handler => HANDLERS.has(each)),
    forceHttps: port.forceHttps ?? false,
    tls: tlsWithDefaults(port.tls),
    http: httpWithDefaults(port.http),
    proxyProto: { version: proxyProto?.version === "v2" ? "v2" : "v1" },
  };
}

function tlsWithDefaults(tls: TlsSettings | undefined): CompleteTls {
  const alpn = ALPN.filter((each) => tls?.alpn?.includes(each));
  const versions = VERSIONS.filter((each) => tls?.versions?.includes(each));
  return {
    alpn: alpn.length > 0 ? alpn : ALPN,
    versions: versions.length > 0 ? versions : VERSIONS,
    defaultSelfSigned: tls?.defaultSelfSigned ?? false,
  };
}

function httpWithDefaults(http: HttpSettings | undefined): Required<HttpSettings> {
  return {
    h2Backend: http?.h2Backend ?? false,
    idleTimeoutMs: http?.idleTimeoutMs ?? HTTP_IDLE_TIMEOUT_MS,
    headersReadTimeoutMs: http?.headersReadTimeoutMs ?? HEADERS_READ_TIMEOUT_MS,
    responseHeaders: http?.responseHeaders ?? {},
    pristineResponse: http?.pristineResponse ?? false,
  };
}

function concurrencyWithDefaults(given: Concurrency | undefined): CompleteConcurrency {
  const hardLimit = Math.max(0, given?.hardLimit ?? 0);
  const softLimit = Math.max(0, given?.softLimit ?? 0);
  return {
    type: given?.type === "requests" ? "requests" : "connections",
    softLimit: softLimit || (hardLimit > 0 ? Math.min(SOFT_LIMIT, hardLimit) : SOFT_LIMIT),
    hardLimit,
  };
}
