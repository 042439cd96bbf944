import { type CompleteCheck, checkWithDefaults } from "../../../lib/service-config/defaults.ts";
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

/** Ports of which a guest tells whether its program listens on them. */
const MAX_PORTS = 64;

/** Plans the checks of a machine: those of its services, and those by name. */
export function planChecks({ services, checks = {} }: MachineConfig): readonly PlannedCheck[] {
  let count = 0;
  const ofServices = services.flatMap((service) =>
    (service.checks ?? []).map(checkWithDefaults).map((check) => {
      const port = check.port || service.internalPort;
      const name = `servicecheck-${String(count++).padStart(2, "0")}-${check.type}-${port}`;
      return plan(name, check, port, true);
    }),
  );
  const listens = services.filter(isKnownWithoutChecks).map(({ internalPort }) => {
    return plan(`listen-${internalPort}`, checkWithDefaults({}), internalPort, true, "listen");
  });
  const byName = Object.entries(checks)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, check]) =>
      plan(name, checkWithDefaults(check), check.port ?? 0, check.kind === "readiness"),
    );
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
  check: CompleteCheck,
  port: number,
  isReadiness: boolean,
  type: PlannedCheck["type"] = check.type,
): PlannedCheck {
  const { intervalMs, timeoutMs, gracePeriodMs: graceMs } = check;
  const common = { name, type, port, isReadiness, intervalMs, timeoutMs, graceMs };
  return type === "http" ? { ...common, http: httpOf(check) } : common;
}

function httpOf(check: CompleteCheck): HttpCheck {
  const { method, path, protocol, headers, status, body } = check;
  return {
    ...{ method, path, headers, status, body },
    isTls: protocol === "https",
    serverName: check.tlsServerName,
    acceptsAnyCertificate: check.tlsSkipVerify,
  };
}
