/**
 * What proxies do with a service of a machine, as in `windhover.machines.v1.ServiceConfig`. Absent
 * members have the defaults of the contract, which `defaults.ts` fills in.
 */
export interface ServiceSettings {
  readonly ports?: readonly PortSettings[];
  readonly autostart?: boolean;
  /** `off`, `stop` or `suspend`. */
  readonly autostop?: string;
  readonly minMachinesRunning?: number;
  readonly concurrency?: Concurrency;
  readonly checks?: readonly CheckSettings[];
  readonly idleTimeoutMs?: number;
  readonly wakeTimeoutMs?: number;
}

/** A port of proxies, or a range of ports, that leads to a service. */
export interface PortSettings {
  readonly port?: number;
  readonly startPort?: number;
  readonly endPort?: number;
  /** `tls`, `http`, `proxy_proto` or `pg_tls`. */
  readonly handlers?: readonly string[];
  readonly forceHttps?: boolean;
  readonly tls?: TlsSettings;
  readonly http?: HttpSettings;
  readonly proxyProto?: { readonly version?: string };
}

/** How a proxy ends TLS. */
export interface TlsSettings {
  readonly alpn?: readonly string[];
  readonly versions?: readonly string[];
  readonly defaultSelfSigned?: boolean;
}

/** How a proxy treats requests. */
export interface HttpSettings {
  readonly h2Backend?: boolean;
  readonly idleTimeoutMs?: number;
  readonly headersReadTimeoutMs?: number;
  /** An empty value removes the header. */
  readonly responseHeaders?: Readonly<Record<string, string>>;
  readonly pristineResponse?: boolean;
}

/** Load that a machine takes from proxies. */
export interface Concurrency {
  /** `connections` or `requests`. */
  readonly type?: string;
  readonly softLimit?: number;
  readonly hardLimit?: number;
}

/** A check that a host runs against a machine. */
export interface CheckSettings {
  /** `tcp` or `http`. */
  readonly type?: string;
  /** `informational` or `readiness`. */
  readonly kind?: string;
  readonly port?: number;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly gracePeriodMs?: number;
  readonly method?: string;
  readonly path?: string;
  /** `http` or `https`. */
  readonly protocol?: string;
  readonly tlsServerName?: string;
  readonly tlsSkipVerify?: boolean;
  readonly headers?: readonly CheckHeader[];
  readonly status?: number;
  readonly body?: string;
}

/** A header that a check sends, once for each value. */
export interface CheckHeader {
  readonly name: string;
  readonly values: readonly string[];
}

/** Members of a configuration that decide how long a machine runs and where its starts begin. */
export interface LifeSettings {
  /** Checks of the machine by name. */
  readonly checks?: Readonly<Record<string, CheckSettings>>;
  /** `off` or `ready`. */
  readonly snapshot?: string;
  readonly maxLifetimeMs?: number;
  readonly maxBusyMs?: number;
}
