import type { PortSettings } from "../../../lib/service-config/service-config.ts";
import { type Check, printable } from "./text.ts";
import { checkHeaderName, checkHeaderValue } from "./validate-http.ts";
import { checkTime } from "./validate-times.ts";

const MAX_PORTS = 16;
const MAX_PORT = 65_535;
const HANDLERS = ["http", "tls", "pg_tls", "proxy_proto"] as const;
const ALPN = ["h2", "http/1.1"] as const;
const TLS_VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const PROXY_VERSIONS = ["v1", "v2"] as const;
const MAX_RESPONSE_HEADERS = 32;
const MIN_MS = 1_000;
const MAX_IDLE_MS = 24 * 3_600_000;
const MAX_HEADERS_MS = 60_000;

/** Ports of proxies that a service has, with the field that says so. */
interface Taken {
  readonly first: number;
  readonly last: number;
  readonly field: string;
}

/** Checks the ports of proxies of all services of a machine: each leads to one service. */
export class PortChecks {
  readonly #taken = new Map<string, Taken[]>();
  readonly #check: Check;

  constructor(check: Check) {
    this.#check = check;
  }

  /** Checks the ports of one service. @param at its field */
  ofService(ports: readonly PortSettings[], protocol: string, at: string): void {
    const { length } = ports;
    this.#check(length <= MAX_PORTS, at, `must have at most ${MAX_PORTS} entries, not ${length}`);
    for (const [i, port] of ports.slice(0, MAX_PORTS).entries()) {
      const field = `${at}[${i}]`;
      this.#checkNumbers(port, protocol, field);
      checkHandlers(port, protocol, field, this.#check);
      checkOptions(port, field, this.#check);
    }
  }

  #checkNumbers({ port, startPort, endPort }: PortSettings, protocol: string, field: string): void {
    const check = this.#check;
    const isOne = port !== undefined;
    const isRange = startPort !== undefined && endPort !== undefined;
    if (isOne && (startPort !== undefined || endPort !== undefined)) {
      check(false, field, "must have either port or start_port and end_port: leave out one of them");
      return;
    }
    if (!isOne && !isRange) {
      const isHalf = startPort !== undefined || endPort !== undefined;
      const missing = startPort === undefined ? "start_port" : "end_port";
      if (isHalf) check(false, `${field}.${missing}`, "is required: a range has both of its ends");
      else check(false, `${field}.port`, "is required, or start_port and end_port");
      return;
    }
    const [first, last] = [port ?? startPort ?? 0, port ?? endPort ?? 0];
    const named = isOne
      ? [["port", first] as const]
      : ([
          ["start_port", first],
          ["end_port", last],
        ] as const);
    for (const [name, number] of named)
      check(isPort(number), `${field}.${name}`, `must be 1 to ${MAX_PORT}, not ${number}`);
    if (!isPort(first) || !isPort(last)) return;
    check(first <= last, `${field}.end_port`, `must be at least start_port, ${first}, not ${last}`);
    if (first <= last) this.#take({ first, last, field }, protocol);
  }

  #take(taken: Taken, protocol: string): void {
    const others = this.#taken.get(protocol) ?? [];
    const other = others.find(({ first, last }) => first <= taken.last && taken.first <= last);
    const at = other === undefined ? "" : `config.${other.field}`;
    const number = Math.max(taken.first, other?.first ?? 0);
    this.#check(other === undefined, taken.field, `${at} has port ${number}/${protocol} already: each once`);
    this.#taken.set(protocol, [...others, taken]);
  }
}

function checkHandlers({ handlers = [] }: PortSettings, protocol: string, at: string, check: Check): void {
  const field = `${at}.handlers`;
  const few = handlers.slice(0, HANDLERS.length);
  check(handlers.length <= HANDLERS.length, field, `must have at most ${HANDLERS.length} entries`);
  const isBytes = protocol !== "udp" || handlers.length === 0;
  check(isBytes, field, "must be empty: a UDP service has no connections to handle");
  for (const [i, handler] of few.entries()) {
    checkWord(handler, HANDLERS, `${field}[${i}]`, check);
    check(few.indexOf(handler) === i, `${field}[${i}]`, `${printable(handler)} is there already`);
  }
  const postgres = handlers.includes("pg_tls");
  for (const other of ["tls", "http"]) {
    const isAlone = !postgres || !handlers.includes(other);
    check(isAlone, field, `must have either pg_tls or ${other}: Postgres begins TLS in a way of its own`);
  }
  const isSaidOnce = !handlers.includes("http") || !handlers.includes("proxy_proto");
  check(
    isSaidOnce,
    field,
    "must have either http or proxy_proto: requests have the client's address in fly-client-ip",
  );
}

/** Checks the options of a port. Those of a handler need the handler. */
function checkOptions(port: PortSettings, at: string, check: Check): void {
  const { handlers = [], forceHttps, tls, http, proxyProto } = port;
  const needs = (isGiven: boolean, field: string, ...anyOf: readonly string[]) => {
    const holds = !isGiven || anyOf.some((each) => handlers.includes(each));
    check(holds, `${at}.${field}`, `needs the handler ${anyOf[0]}: add it to handlers, or leave this out`);
  };
  needs(forceHttps === true, "force_https", "http");
  needs(tls !== undefined, "tls_options", "tls", "pg_tls");
  needs(http !== undefined, "http_options", "http");
  needs(proxyProto !== undefined, "proxy_proto_options", "proxy_proto");
  if (tls) {
    checkWords(tls.alpn, ALPN, `${at}.tls_options.alpn`, check);
    checkWords(tls.versions, TLS_VERSIONS, `${at}.tls_options.versions`, check);
  }
  if (http) checkHttp(http, `${at}.http_options`, check);
  const { version } = proxyProto ?? {};
  if (version !== undefined) checkWord(version, PROXY_VERSIONS, `${at}.proxy_proto_options.version`, check);
}

function checkHttp(http: NonNullable<PortSettings["http"]>, at: string, check: Check): void {
  checkTime(http.idleTimeoutMs, MIN_MS, MAX_IDLE_MS, `${at}.idle_timeout`, check);
  checkTime(http.headersReadTimeoutMs, MIN_MS, MAX_HEADERS_MS, `${at}.headers_read_timeout`, check);
  const headers = Object.entries(http.responseHeaders ?? {});
  const { length } = headers;
  const field = `${at}.response_headers`;
  const max = MAX_RESPONSE_HEADERS;
  check(length <= max, field, `must have at most ${max} entries, not ${length}`);
  const seen = new Set<string>();
  for (const [name, value] of headers.slice(0, max)) {
    const each = `${field}[${printable(name)}]`;
    checkHeaderName(name, each, check);
    checkHeaderValue(value, each, check);
    const lower = name.toLowerCase();
    check(!seen.has(lower), each, "is there already: names of headers have no case");
    seen.add(lower);
  }
}

function checkWords(
  words: readonly string[] | undefined,
  known: readonly string[],
  field: string,
  check: Check,
): void {
  if (words === undefined) return;
  check(words.length <= known.length, field, `must have at most ${known.length} entries`);
  for (const [i, word] of words.slice(0, known.length).entries())
    checkWord(word, known, `${field}[${i}]`, check);
}

function checkWord(word: string, known: readonly string[], field: string, check: Check): void {
  const isKnown = known.includes(word);
  check(isKnown, field, `must be one of ${known.join(", ")}, not "${printable(word)}"`);
}

function isPort(number: number): boolean {
  return number >= 1 && number <= MAX_PORT;
}
