import type {
  Concurrency,
  LifeSettings,
  ServiceSettings,
} from "../../../lib/service-config/service-config.ts";
import type { Service } from "../machine.ts";
import { type Check, printable } from "./text.ts";
import { checkMachineChecks, checkServiceChecks } from "./validate-checks.ts";
import { PortChecks } from "./validate-ports.ts";
import { checkTime } from "./validate-times.ts";

/** A service that is not validated. */
export interface ServiceInput extends ServiceSettings {
  readonly protocol: string;
  readonly internalPort: number;
}

const MAX_SERVICES = 16;
const AUTOSTOPS = ["off", "stop", "suspend"];
const MAX_RUNNING = 1_000;
const MIN_MS = 1_000;
const DAY_MS = 24 * 3_600_000;
const MAX_WAKE_MS = 600_000;
const MAX_LIFETIME_DAYS = 365;

/** Checks services, and fills in their protocol alone. */
export function validServices(input: readonly ServiceInput[], check: Check): Service[] {
  const { length } = input;
  check(length <= MAX_SERVICES, "services", `must have at most ${MAX_SERVICES} entries, not ${length}`);
  const seen = new Set<string>();
  const ports = new PortChecks(check);
  return input.slice(0, MAX_SERVICES).map((service, i) => {
    const protocol = service.protocol || "tcp";
    const port = service.internalPort;
    const at = `services[${i}]`;
    const isProtocol = protocol === "tcp" || protocol === "udp";
    check(isProtocol, `${at}.protocol`, `must be tcp or udp, not "${printable(protocol)}"`);
    check(port >= 1 && port <= 65_535, `${at}.internal_port`, `must be 1 to 65535, not ${port}`);
    const key = `${protocol}/${port}`;
    check(!seen.has(key), at, `${key} is there already: each protocol and port once`);
    seen.add(key);
    ports.ofService(service.ports ?? [], protocol, `${at}.ports`);
    checkSettings(service, protocol, at, check);
    return { ...service, protocol: protocol === "udp" ? "udp" : "tcp" };
  });
}

/** Checks the members of a configuration that decide how long a machine runs. */
export function checkLife(
  { checks, snapshot = "off", maxLifetimeMs, maxBusyMs }: LifeSettings,
  check: Check,
) {
  if (checks) checkMachineChecks(checks, check);
  const isSnapshot = snapshot === "off" || snapshot === "ready";
  check(isSnapshot, "snapshot", `must be off or ready, not "${printable(snapshot)}"`);
  if (maxLifetimeMs !== 0)
    checkTime(maxLifetimeMs, MIN_MS, MAX_LIFETIME_DAYS * DAY_MS, "max_lifetime", check);
  checkTime(maxBusyMs, 0, DAY_MS, "max_busy", check);
}

function checkSettings(service: ServiceSettings, protocol: string, at: string, check: Check): void {
  const {
    autostop = "off",
    minMachinesRunning = 0,
    concurrency,
    checks,
    idleTimeoutMs,
    wakeTimeoutMs,
  } = service;
  const isAutostop = AUTOSTOPS.includes(autostop);
  check(isAutostop, `${at}.autostop`, `must be ${AUTOSTOPS.join(", ")}, not "${printable(autostop)}"`);
  const isSeen = protocol !== "udp" || autostop === "off";
  check(isSeen, `${at}.autostop`, "must be off: proxies see no UDP traffic, and would stop it in use");
  const isCount = minMachinesRunning >= 0 && minMachinesRunning <= MAX_RUNNING;
  const rule = `must be 0 to ${MAX_RUNNING}, not ${minMachinesRunning}`;
  check(isCount, `${at}.min_machines_running`, rule);
  if (concurrency) checkConcurrency(concurrency, `${at}.concurrency`, check);
  if (checks) checkServiceChecks(checks, protocol, `${at}.checks`, check);
  checkTime(idleTimeoutMs, MIN_MS, DAY_MS, `${at}.idle_timeout`, check);
  checkTime(wakeTimeoutMs, MIN_MS, MAX_WAKE_MS, `${at}.wake_timeout`, check);
}

function checkConcurrency(concurrency: Concurrency, at: string, check: Check): void {
  const { type = "connections", softLimit: soft = 0, hardLimit: hard = 0 } = concurrency;
  const isType = type === "connections" || type === "requests";
  check(isType, `${at}.type`, `must be connections or requests, not "${printable(type)}"`);
  check(soft >= 0, `${at}.soft_limit`, `must not be negative, not ${soft}`);
  check(hard >= 0, `${at}.hard_limit`, `must not be negative, not ${hard}`);
  const isBelow = hard <= 0 || soft <= hard;
  check(isBelow, `${at}.soft_limit`, `must be at most hard_limit, ${hard}, not ${soft}`);
}
