/**
 * The proxy takes requests and connections for apps, chooses a machine for each, and starts machines when requests need
 * them. It may lose everything: it learns apps and machines from the apis, and how machines are from their hosts.
 */
import { internalTokens } from "../lib/auth/tokens.ts";
import { serveMetrics } from "../lib/otel/metrics-server.ts";
import { type Stack, startLoop } from "../lib/runtime/lifecycle.ts";
import { listen } from "../lib/runtime/listen.ts";
import { endsWithin } from "../lib/runtime/wait.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { type ProxyConfig, readConfig } from "./config.ts";
import { DataPlane } from "./data-plane.ts";
import { exposeRouter } from "./metrics.ts";
import { openControl } from "./proxy.ts";
import { portsWithin } from "./routes/port-pool.ts";
import { exposeCertificates } from "./tls/certificate-metrics.ts";

const PORTS_EVERY_MS = 1_000;
const CLOSE_MARGIN_MS = 5_000;

await runService("proxy", readConfig, start);

async function start(config: ProxyConfig, stack: Stack) {
  const { keys } = openAccess(stack, config, true);
  const { id, region, apis, domains, routesFile, dataPlane, tcpPorts, graceMs } = config;
  const token = internalTokens(keys, `proxy:${id}`);
  const control = await openControl({ id, region, apis, domains, routesFile, token });
  stack.add("control", () => control.stop());

  const proxy = new DataPlane(control.router, dataPlane);
  stack.add("data plane", () => proxy.close());
  stack.add("requests", () => endsWithin(graceMs, proxy.drain()), graceMs + CLOSE_MARGIN_MS);

  if (config.metricsListen !== undefined) {
    exposeRouter(control.router, control.table);
    if (proxy.certificates) exposeCertificates(proxy.certificates);
    const isHealthy = () => control.table.position !== "";
    stack.add("metrics", await serveMetrics(config.metricsListen, isHealthy, "PROXY_METRICS_LISTEN"));
  }
  const port = await listen(proxy.clear, config.listen, "PROXY_LISTEN");
  if (proxy.tls) await listen(proxy.tls, config.tlsListen, "PROXY_TLS_LISTEN");
  if (tcpPorts) {
    const setPorts = () => {
      const ports = portsWithin(control.table.machines(), tcpPorts);
      control.table.claim(ports);
      return proxy.listenAt(ports);
    };
    stack.add("ports", startLoop(PORTS_EVERY_MS, 0, setPorts, { name: "listen at ports of services" }));
  }
  return { listen: config.listen, port, region, ...(proxy.tls ? { tlsListen: config.tlsListen } : {}) };
}
