import { createServer } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { Fault, isServerFault } from "../faults/fault.ts";
import { limitConnections } from "../limits/connection-limiter.ts";
import { listen } from "../runtime/listen.ts";

export const registry = new Registry();

/**
 * Buckets of starts, in seconds, the same at api and hostd so that both can be compared. Fine around
 * warm starts, with the target figures (60, 150, 400 and 900 ms), up to a cold start on a loaded host.
 */
export const START_BUCKETS = [
  ...[0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2],
  ...[0.3, 0.4, 0.6, 0.9, 1.5, 3, 5, 10, 20, 30, 60],
];

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const rpcServerSeconds = new Histogram({
  name: "rpc_server_call_duration_seconds",
  help: "Duration of calls served.",
  labelNames: ["rpc_method", "rpc_status_code"],
  buckets: SECONDS,
  registers: [registry],
});

export const rpcClientSeconds = new Histogram({
  name: "rpc_client_call_duration_seconds",
  help: "Duration of calls made to other services.",
  labelNames: ["rpc_method", "rpc_status_code"],
  buckets: SECONDS,
  registers: [registry],
});

/** How work ended, as a label. `refused`: the caller's fault or a lack of capacity; `failed`: ours. */
export type OutcomeLabel = "ok" | "refused" | "cancelled" | "failed";

export const OUTCOMES: readonly OutcomeLabel[] = ["ok", "refused", "cancelled", "failed"];

export function outcomeOf(err: unknown): Exclude<OutcomeLabel, "ok"> {
  if (!(err instanceof Fault)) return "failed";
  if (err.code === "CANCELLED") return "cancelled";
  return isServerFault(err.code) ? "failed" : "refused";
}

/** Makes a counter. Label values must come from a small fixed set, never ids. */
export function counter<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
}

/** Makes a histogram of durations in seconds. Label values must come from a small fixed set, never ids. */
export function secondsHistogram<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  buckets: readonly number[] = SECONDS,
): Histogram<L> {
  return new Histogram({
    name,
    help,
    labelNames: [...labelNames],
    buckets: [...buckets],
    registers: [registry],
  });
}

/** Makes a gauge that reads its value on each scrape. */
export function gauge(name: string, help: string, read: () => number | Promise<number>): Gauge {
  return new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      this.set(await read());
    },
  });
}

/** Makes a gauge with one label that reads its values on each scrape. A value that is gone is exposed no longer. */
export function gaugeBy<L extends string>(
  name: string,
  help: string,
  label: L,
  read: () => Iterable<readonly [labelValue: string, value: number]>,
): Gauge<L> {
  return new Gauge<L>({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      // TypeScript does not see that this is a record of one label.
      for (const [labelValue, value] of read()) this.set({ [label]: labelValue } as Record<L, string>, value);
    },
  });
}

/** Makes a counter that reads its value on each scrape. */
export function counterOf(name: string, help: string, read: () => number): Counter {
  return new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

const HTTP_LIMITS = {
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 5_000,
  // The default checks these times twice a minute.
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1_024,
};
const METRICS_CONNECTIONS = { total: 64, perAddress: 64, newTotal: 64, newPerAddress: 32 };
/** Pages that are made at once, and then in each second: one takes milliseconds of the service's own thread. */
const PAGES = 10;

/** The page of metrics. When it is read too often, all readers get the last one made, a tenth of a second old at most. */
class MetricsPage {
  #last: Promise<string> | undefined;
  #credit = PAGES;
  #creditedMs = performance.now();

  read(): Promise<string> {
    const nowMs = performance.now();
    this.#credit = Math.min(PAGES, this.#credit + ((nowMs - this.#creditedMs) * PAGES) / 1_000);
    this.#creditedMs = nowMs;
    if (this.#last && this.#credit < 1) return this.#last;
    this.#credit -= 1;
    this.#last = registry.metrics();
    return this.#last;
  }
}

/**
 * Serves `/metrics` for Prometheus and `/healthz` (200 or 503) over HTTP.
 *
 * @param isHealthy answers `/healthz`; default: always healthy
 * @returns a function that stops it, with its port
 */
export async function serveMetrics(
  address: string,
  isHealthy: () => boolean = () => true,
  variable = "METRICS_LISTEN",
): Promise<(() => Promise<void>) & { readonly port: number }> {
  collectProcessMetrics();
  const page = new MetricsPage();
  const server = createServer(HTTP_LIMITS, (req, res) => {
    const path = req.url?.split("?")[0];
    if (path === "/healthz") {
      const healthy = isHealthy();
      res
        .writeHead(healthy ? 200 : 503, { "content-type": "text/plain" })
        .end(healthy ? "ok\n" : "not serving\n");
    } else if (path === "/metrics") {
      page.read().then(
        (body) => res.writeHead(200, { "content-type": registry.contentType }).end(body),
        () => res.writeHead(500).end(),
      );
    } else {
      res.writeHead(404, { "content-type": "text/plain" }).end("try /metrics or /healthz\n");
    }
  });
  limitConnections(server, METRICS_CONNECTIONS);
  const port = await listen(server, address, variable);
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return Object.assign(close, { port });
}

/** Gauges with names of counters. `nodejs_active_resources` and its like say the same, by type. */
const MISNAMED = [
  "nodejs_active_resources_total",
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
] as const;

let isCollecting = false;

function collectProcessMetrics(): void {
  if (isCollecting) return;
  isCollecting = true;
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
