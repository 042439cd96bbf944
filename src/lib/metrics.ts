import { createServer } from "node:http";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { listen } from "./listen.ts";

/** Every metric of this process. */
export const registry = new Registry();

/** From half a millisecond to half a minute. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** `rpc.server.call.duration` in Prometheus' spelling. */
export const rpcServerSeconds = new Histogram({
  name: "rpc_server_call_duration_seconds",
  help: "Duration of calls served.",
  labelNames: ["rpc_method", "rpc_status_code"],
  buckets: SECONDS,
  registers: [registry],
});

/** `rpc.client.call.duration` in Prometheus' spelling. */
export const rpcClientSeconds = new Histogram({
  name: "rpc_client_call_duration_seconds",
  help: "Duration of calls made to other services.",
  labelNames: ["rpc_method", "rpc_status_code"],
  buckets: SECONDS,
  registers: [registry],
});

/** Sagas whose undo failed: somebody must look, the reconciler keeps trying. */
export const sagasStuck = new Counter({
  name: "windhover_sagas_stuck_total",
  help: "Sagas with a step that could not be undone.",
  labelNames: ["saga", "step"],
  registers: [registry],
});

/** A counter of this process. Label values must come from a small fixed set: never ids. */
export function counter<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
}

/** A histogram of durations in seconds. Label values must come from a small fixed set: never ids. */
export function secondsHistogram<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Histogram<L> {
  return new Histogram({
    name,
    help,
    labelNames: [...labelNames],
    buckets: SECONDS,
    registers: [registry],
  });
}

/** A gauge whose value is asked for when it is read. */
export function gauge(name: string, help: string, read: () => number): Gauge {
  return new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/**
 * Serves `/metrics` for Prometheus and `/healthz` (200 or 503) over HTTP.
 *
 * @param address `host:port` (port 0 for any) or `unix:/path`
 * @param isHealthy asked on `/healthz`; default always
 * @param variable the environment variable to name when the address is taken
 * @returns a function that stops it, with the port it got
 */
export async function serveMetrics(
  address: string,
  isHealthy: () => boolean = () => true,
  variable = "METRICS_LISTEN",
): Promise<(() => Promise<void>) & { readonly port: number }> {
  collectProcessMetrics();
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (req, res) => {
    const path = req.url?.split("?")[0];
    if (path === "/healthz") {
      const healthy = isHealthy();
      res
        .writeHead(healthy ? 200 : 503, { "content-type": "text/plain" })
        .end(healthy ? "ok\n" : "not serving\n");
    } else if (path === "/metrics") {
      registry.metrics().then(
        (body) => res.writeHead(200, { "content-type": registry.contentType }).end(body),
        () => res.writeHead(500).end(),
      );
    } else {
      res.writeHead(404, { "content-type": "text/plain" }).end("try /metrics or /healthz\n");
    }
  });
  server.maxConnections = 64;
  const port = await listen(server, address, variable);
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return Object.assign(close, { port });
}

let collecting = false;

function collectProcessMetrics(): void {
  if (collecting) return;
  collecting = true;
  collectDefaultMetrics({ register: registry });
}
