import type { CompleteConcurrency, CompleteTls, Handler } from "../lib/service-config/defaults.ts";

/** Finds where requests go, and counts them. */
export interface Router {
  /**
   * Finds the app and service of a host name (lower case, without port and final dot) and a port of proxies.
   *
   * @returns undefined when no app has the name
   * @throws ProxyError `NO_MACHINE` when no machine of the app has a service at the port; `NO_ROUTES` as long
   *   as no app is known
   */
  target(hostname: string, port: number): Target | undefined;

  /** The same by the name of an app, for requests that one app hands to another. */
  appTarget(app: string, port: number): Target | undefined;

  /** Finds the service that has a port of proxies for itself, for connections without a host name. */
  portTarget(port: number): Target | undefined;

  /** Says what connections to a port begin with that leads to apps by host name. Undefined: no app is there by name. */
  portNames(port: number): PortNames | undefined;

  /**
   * Waits for a place at a ready machine; starts one when that is needed.
   *
   * @param signal aborts when the client leaves
   * @throws ProxyError; the reason of `signal`
   */
  admit(target: Target, ask: Ask, signal: AbortSignal): Promise<Place>;
}

/** How apps are served by host name at a port of proxies. At least one of them. */
export interface PortNames {
  readonly tls: boolean;
  /** Without TLS. */
  readonly http: boolean;
}

/** A service of an app, at one port of proxies. */
export interface Target {
  readonly app: string;
  readonly org: string;
  /** Port of proxies. */
  readonly port: number;
  readonly service: RoutedService;
}

/** A service with the options of one of its ports, defaults filled in. */
export interface RoutedService {
  /** Port of the guest. */
  readonly internalPort: number;
  /** None: bytes pass through. */
  readonly handlers: ReadonlySet<Handler>;
  readonly forceHttps: boolean;
  readonly tls: CompleteTls;
  readonly http: HttpSettings;
  readonly proxyProto: "v1" | "v2";
  readonly concurrency: CompleteConcurrency;
  /** How long a request may wait for a machine to become ready. */
  readonly wakeTimeoutMs: number;
}

export interface HttpSettings {
  readonly h2Backend: boolean;
  readonly idleTimeoutMs: number;
  readonly headersReadTimeoutMs: number;
  /** Names in lower case. An empty value removes the header. */
  readonly responseHeaders: ReadonlyMap<string, string>;
  readonly pristineResponse: boolean;
}

/** What a request needs of its machine. */
export interface Ask {
  readonly kind: "request" | "connection";
  /** Parent of spans of starts that it causes. Empty: none. */
  readonly traceparent: string;
  /** Begins the span of its wait, unless it has begun, and returns its traceparent. Absent: it has none. */
  readonly waits?: () => string;
  /** Machines that must not get it. */
  readonly exclude: ReadonlySet<string>;
  /** Machines that have refused it: they come after all others that run. */
  readonly avoid: ReadonlySet<string>;
  /** Only this machine. */
  readonly forceInstance?: string | undefined;
  /** This machine, when it can take the request; a stopped one is started. */
  readonly preferInstance?: string | undefined;
  /** Only machines of these regions, best first. */
  readonly forceRegions?: readonly string[] | undefined;
  /** Regions to try before the proxy's own, best first. */
  readonly preferRegions?: readonly string[] | undefined;
}

/** A place at a machine: counted until it is released. */
export interface Place {
  readonly machineId: string;
  /** Version of the machine. */
  readonly instanceId: string;
  readonly region: string;
  /** Of the service, at the machine's host. */
  readonly address: { readonly host: string; readonly port: number };
  /** Set when the request waited for a start. */
  readonly wake?: Wake | undefined;
  /** Aborts when the machine is there no longer, for instance because it was killed. */
  readonly gone: AbortSignal;
  /** Says that the machine refused or broke the connection before any byte of an answer. Releases nothing. */
  refused(): void;
  /** Safe to call twice. */
  release(): void;
}

/** The start that a request waited for. */
export interface Wake {
  /** Start path: `resume`, `snapshot`, `warm`, `template` or `cold`. */
  readonly path: string;
  /** Until the start was asked for, and for a turn afterwards. */
  readonly queueMs: number;
  /** Until the machine was started. */
  readonly startMs: number;
  /** From then until it was ready. */
  readonly readyMs: number;
  /** Empty: not traced. */
  readonly traceId: string;
  /** Traceparents of the span of the start, and of its parent. Absent: not known. */
  readonly span?: { readonly traceparent: string; readonly parent: string };
}
