import { isIP } from "node:net";
import { CHECK_INTERVAL_MS } from "../../../lib/service-config/defaults.ts";
import type { CheckSettings } from "../../../lib/service-config/service-config.ts";
import { bytes, type Check, CONTROL, isPlain, PLAIN, printable } from "./text.ts";
import { checkHeaderName, checkHeaderValue, isToken } from "./validate-http.ts";
import { checkTime, timeText } from "./validate-times.ts";

const MAX_MACHINE_CHECKS = 16;
const MAX_SERVICE_CHECKS = 8;
const MAX_NAME_BYTES = 64;
/** Begins the names of services' checks in the status of a machine. */
const RESERVED = "servicecheck-";
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 3_600_000;
const MIN_TIMEOUT_MS = 100;
const MAX_TIMEOUT_MS = 60_000;
const MAX_GRACE_MS = 3_600_000;
const MAX_METHOD_CHARS = 32;
const MAX_PATH_CHARS = 2_048;
const MAX_HEADERS = 16;
const MAX_VALUES = 16;
const MAX_BODY_BYTES = 1_024;
/** Their requests have another form, or are answered by what is between. */
const OTHER_METHODS = new Set(["CONNECT", "TRACE"]);
const PATH = /^\/[\x21\x22\x24-\x7e]*$/;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** Checks the checks of a machine, each named `checks[name]`. */
export function checkMachineChecks(checks: Readonly<Record<string, CheckSettings>>, check: Check): void {
  const names = Object.keys(checks);
  const { length } = names;
  const max = MAX_MACHINE_CHECKS;
  check(length <= max, "checks", `must have at most ${max} entries, not ${length}`);
  for (const name of names.slice(0, max)) {
    const at = `checks[${printable(name)}]`;
    const isName = name !== "" && bytes(name) <= MAX_NAME_BYTES && !CONTROL.test(name) && isPlain(name);
    check(isName, at, `the name must have 1 to ${MAX_NAME_BYTES} bytes and no control characters`);
    const isFree = !name.startsWith(RESERVED);
    check(isFree, at, `the name must not begin with ${RESERVED}, as those of services' checks do`);
    const settings = checks[name] ?? {};
    const { kind = "informational", port = 0 } = settings;
    const isKind = kind === "informational" || kind === "readiness";
    check(isKind, `${at}.kind`, `must be informational or readiness, not "${printable(kind)}"`);
    const isPort = port >= 1 && port <= 65_535;
    check(isPort, `${at}.port`, port === 0 ? "is required: 1 to 65535" : `must be 1 to 65535, not ${port}`);
    checkCheck(settings, at, check);
  }
}

/** Checks the checks of a service. @param protocol of the service */
export function checkServiceChecks(
  checks: readonly CheckSettings[],
  protocol: string,
  at: string,
  check: Check,
): void {
  const { length } = checks;
  const max = MAX_SERVICE_CHECKS;
  check(length <= max, at, `must have at most ${max} entries, not ${length}`);
  for (const [i, settings] of checks.slice(0, max).entries()) {
    const each = `${at}[${i}]`;
    const { kind = "readiness", port = 0 } = settings;
    const isKind = kind === "readiness";
    const rule = "must be readiness: put a check that is informational into config.checks";
    check(isKind, `${each}.kind`, `${rule}, not "${printable(kind)}"`);
    const needsPort = protocol === "udp";
    check(!needsPort || port !== 0, `${each}.port`, "is required: the service has a UDP port only");
    check(port >= 0 && port <= 65_535, `${each}.port`, `must be 1 to 65535, not ${port}`);
    checkCheck(settings, each, check);
  }
}

function checkCheck(settings: CheckSettings, at: string, check: Check): void {
  const { type = "tcp", intervalMs, timeoutMs, gracePeriodMs } = settings;
  const isType = type === "tcp" || type === "http";
  check(isType, `${at}.type`, `must be tcp or http, not "${printable(type)}"`);
  checkTime(intervalMs, MIN_INTERVAL_MS, MAX_INTERVAL_MS, `${at}.interval`, check);
  checkTime(timeoutMs, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS, `${at}.timeout`, check);
  const longestMs = intervalMs ?? CHECK_INTERVAL_MS;
  const isShort = timeoutMs === undefined || timeoutMs > MAX_TIMEOUT_MS || timeoutMs <= longestMs;
  const fix = "shorten it, or lengthen the interval";
  check(isShort, `${at}.timeout`, `must be at most the interval, ${timeText(longestMs)}: ${fix}`);
  checkTime(gracePeriodMs, 0, MAX_GRACE_MS, `${at}.grace_period`, check);
  if (type === "http") checkHttp(settings, at, check);
  else if (isType) refuseHttp(settings, at, check);
}

function checkHttp(settings: CheckSettings, at: string, check: Check): void {
  const { method = "GET", path = "/", headers = [], status = 0, body = "" } = settings;
  const isMethod = isToken(method) && method.length <= MAX_METHOD_CHARS;
  check(isMethod, `${at}.method`, `must be a method of HTTP such as GET, not "${printable(method)}"`);
  const isOther = OTHER_METHODS.has(method.toUpperCase());
  check(
    !isOther,
    `${at}.method`,
    `must be one that a program answers, such as GET, not ${printable(method)}`,
  );
  const isPath = PATH.test(path) && path.length <= MAX_PATH_CHARS;
  const rule = `must begin with / and have at most ${MAX_PATH_CHARS} printable characters, others as %20`;
  check(isPath, `${at}.path`, `${rule}, not "${printable(path)}"`);
  const isStatus = status === 0 || (status >= 200 && status <= 599);
  check(isStatus, `${at}.status`, `must be 200 to 599, or 0 for any of 200 to 299, not ${status}`);
  check(isPlain(body), `${at}.body`, PLAIN);
  check(bytes(body) <= MAX_BODY_BYTES, `${at}.body`, `must have at most ${MAX_BODY_BYTES} bytes`);
  checkHeaders(headers, `${at}.headers`, check);
  checkTls(settings, at, check);
}

function checkHeaders(headers: NonNullable<CheckSettings["headers"]>, at: string, check: Check): void {
  check(headers.length <= MAX_HEADERS, at, `must have at most ${MAX_HEADERS} entries, not ${headers.length}`);
  for (const [i, { name, values }] of headers.slice(0, MAX_HEADERS).entries()) {
    checkHeaderName(name, `${at}[${i}].name`, check);
    const isFew = values.length >= 1 && values.length <= MAX_VALUES;
    check(isFew, `${at}[${i}].values`, `must have 1 to ${MAX_VALUES} entries, not ${values.length}`);
    for (const [j, value] of values.slice(0, MAX_VALUES).entries())
      checkHeaderValue(value, `${at}[${i}].values[${j}]`, check);
  }
}

function checkTls(settings: CheckSettings, at: string, check: Check): void {
  const { protocol = "http", tlsServerName = "", tlsSkipVerify = false } = settings;
  const isProtocol = protocol === "http" || protocol === "https";
  check(isProtocol, `${at}.protocol`, `must be http or https, not "${printable(protocol)}"`);
  const isName = tlsServerName === "" || isServerName(tlsServerName);
  const nameField = `${at}.tls_server_name`;
  check(isName, nameField, `must be a host name, not "${printable(tlsServerName)}"`);
  if (protocol === "https") {
    const isSure = tlsServerName !== "" || tlsSkipVerify;
    check(isSure, nameField, "is required: it, or tls_skip_verify: true for any certificate");
  } else if (isProtocol) {
    const fix = "is for https: set protocol to https, or leave it out";
    check(tlsServerName === "", nameField, fix);
    check(!tlsSkipVerify, `${at}.tls_skip_verify`, fix);
  }
}

function isServerName(name: string): boolean {
  return name.length <= 253 && isIP(name) === 0 && name.split(".").every((label) => LABEL.test(label));
}

/** Refuses members that do nothing in a check of the type tcp. */
function refuseHttp(settings: CheckSettings, at: string, check: Check): void {
  const { method, path, protocol, tlsServerName, tlsSkipVerify, headers, status, body } = settings;
  const members = {
    ...{ method, path, protocol, headers, status, body },
    ...{ tls_server_name: tlsServerName, tls_skip_verify: tlsSkipVerify },
  };
  for (const [name, value] of Object.entries(members)) {
    const isAbsent = value === undefined;
    check(isAbsent, `${at}.${name}`, "is for checks of the type http: set type to http, or leave it out");
  }
}
