import { createServer, type ServerResponse } from "node:http";
import { collectDefaultMetrics, type OpenMetricsContentType, Registry } from "prom-client";
import { limitConnections } from "../limits/connection-limiter.ts";
import { listen } from "../runtime/listen.ts";
import { registry } from "./metrics.ts";

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

/** A form of the page of metrics. Exemplars are in OpenMetrics only. */
interface Format {
  readonly contentType: string;
  make(): Promise<string>;
}

const PLAIN: Format = { contentType: Registry.PROMETHEUS_CONTENT_TYPE, make: () => registry.metrics() };
const OPEN_METRICS: Format = { contentType: Registry.OPENMETRICS_CONTENT_TYPE, make: openMetrics };

/** The page of metrics. When it is read too often, all readers get the last one made, a tenth of a second old at most. */
class MetricsPage {
  readonly #last = new Map<Format, Promise<string>>();
  #credit = PAGES;
  #creditedMs = performance.now();

  read(format: Format): Promise<string> {
    const nowMs = performance.now();
    this.#credit = Math.min(PAGES, this.#credit + ((nowMs - this.#creditedMs) * PAGES) / 1_000);
    this.#creditedMs = nowMs;
    const last = this.#last.get(format);
    if (last && this.#credit < 1) return last;
    this.#credit -= 1;
    const page = format.make();
    this.#last.set(format, page);
    return page;
  }

  async send(response: ServerResponse, format: Format): Promise<void> {
    try {
      const body = await this.read(format);
      response.writeHead(200, { "content-type": format.contentType, vary: "accept" }).end(body);
    } catch {
      response.writeHead(500).end();
    }
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
      void page.send(res, prefersOpenMetrics(req.headers.accept ?? "") ? OPEN_METRICS : PLAIN);
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

/** Tells whether an `Accept` header names OpenMetrics 1.0.0, and no plain text that it likes better. */
function prefersOpenMetrics(accept: string): boolean {
  let [open, plain] = [0, 0];
  for (const range of accept.split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const values = new Map(parameters.map((each) => each.split("=", 2) as [string, string | undefined]));
    const weight = Number(values.get("q") ?? 1);
    const version = values.get("version");
    if (type === "application/openmetrics-text" && (version === undefined || version === "1.0.0"))
      open = Math.max(open, weight);
    if (type === "text/plain") plain = Math.max(plain, weight);
  }
  return open > 0 && open >= plain;
}

/** Writes what inherits from the metrics, because the writer takes `_total` off the names of counters for good. */
function openMetrics(): Promise<string> {
  const writer = new Registry<OpenMetricsContentType>();
  writer.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const { name } of registry.getMetricsAsArray())
    writer.registerMetric(Object.create(registry.getSingleMetric(name) ?? null));
  return writer.metrics();
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
