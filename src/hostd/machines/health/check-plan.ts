import type { CheckSettings } from "../../../lib/service-config/service-config.ts";
import type { MachineConfig, ServiceConfig } from "../machine-config.ts";

/** A check that hostd runs against a machine, with its defaults filled in. */
export interface PlannedCheck {
  readonly name: string;
  /** `listen`: of a service without checks that proxies know. */
  readonly type: "listen" | "tcp" | "http";
  /** Of the guest. */
  readonly port: number;
  readonly isReadiness: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** After a start, failures are warnings for so long. */
  readonly graceMs: number;
  /** For `http`. */
  readonly http?: HttpCheck;
}

/** What a check asks for by HTTP, and what passes. */
export interface HttpCheck {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly isTls: boolean;
  /** Empty: none. */
  readonly serverName: string;
  readonly acceptsAnyCertificate: boolean;
  readonly headers: readonly { readonly name: string; readonly values: readonly string[] }[];
  /** 0: any of 200 to 299. */
  readonly status: number;
  /** What the beginning of the body must contain; empty: anything. */
  readonly body: string;
}

const DEFAULTS = { intervalMs: 15_000, timeoutMs: 10_000, gracePeriodMs: 10_000 };
/** Ports of which a guest tells whether its program listens on them. */
const MAX_PORTS = 64;

/** Plans the checks of a machine: those of its services, and those by name. */
export function planChecks({ services, checks = {} }: MachineConfig): readonly PlannedCheck[] {
  let count = 0;
  const ofServices = services.flatMap((service) =>
    (service.checks ?? []).map((check) => {
      const port = check.port || service.internalPort;
      const name = `servicecheck-${String(count++).padStart(2, "0")}-${typeOf(check)}-${port}`;
      return plan(name, check, port, true);
    }),
  );
  const listens = services.filter(isKnownWithoutChecks).map(({ internalPort }) => {
    return plan(`listen-${internalPort}`, {}, internalPort, true, "listen");
  });
  const byName = Object.entries(checks)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, check]) => plan(name, check, check.port ?? 0, check.kind === "readiness"));
  return [...ofServices, ...listens, ...byName];
}

/** Returns the ports that checks are about, as many as a guest watches. */
export function portsOfChecks(checks: readonly PlannedCheck[]): readonly number[] {
  return [...new Set(checks.map(({ port }) => port))].slice(0, MAX_PORTS);
}

/** Whether proxies send a service requests, with no check to say when. */
function isKnownWithoutChecks({ protocol, ports = [], checks = [] }: ServiceConfig): boolean {
  return protocol === "tcp" && ports.length > 0 && checks.length === 0;
}

function plan(
  name: string,
  check: CheckSettings,
  port: number,
  isReadiness: boolean,
  type: PlannedCheck["type"] = typeOf(check),
): PlannedCheck {
  const { intervalMs = DEFAULTS.intervalMs, timeoutMs = DEFAULTS.timeoutMs } = check;
  const { gracePeriodMs: graceMs = DEFAULTS.gracePeriodMs } = check;
  const common = { name, type, port, isReadiness, intervalMs, timeoutMs, graceMs };
  return type === "http" ? { ...common, http: httpOf(check) } : common;
}

function typeOf({ type }: CheckSettings): "tcp" | "http" {
  return type === "http" ? "http" : "tcp";
}

function httpOf(check: CheckSettings): HttpCheck {
  return {
    method: check.method || "GET",
    path: check.path || "/",
    isTls: check.protocol === "https",
    serverName: check.tlsServerName ?? "",
    acceptsAnyCertificate: check.tlsSkipVerify ?? false,
    headers: check.headers ?? [],
    status: check.status ?? 0,
    body: check.body ?? "",
  };
}
