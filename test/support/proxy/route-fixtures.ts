import type { Ask } from "../../../src/proxy/route.ts";
import type { MachineRoute, Routes, ServiceRoute } from "../../../src/proxy/routes/routes.ts";

/** Makes a service at port 80, with autostart and autostop, of which a test changes what it is about. */
export function serviceRoute(change: Partial<ServiceRoute> = {}): ServiceRoute {
  return {
    ...{ protocol: "tcp", internalPort: 8080, autostart: true, autostop: "stop", minMachinesRunning: 0 },
    ports: [
      {
        ...{ first: 80, last: 80, handlers: ["http"], forceHttps: false, proxyProto: "v1" },
        tls: { alpn: ["h2", "http/1.1"], versions: ["TLSv1.2", "TLSv1.3"], defaultSelfSigned: false },
        http: {
          ...{ h2Backend: false, idleTimeoutMs: 60_000, headersReadTimeoutMs: 15_000 },
          ...{ responseHeaders: [], pristineResponse: false },
        },
      },
    ],
    concurrency: { type: "requests", softLimit: 2, hardLimit: 0 },
    ...{ idleTimeoutMs: 20_000, wakeTimeoutMs: 60_000 },
    ...change,
  };
}

export function machineRoute(id: string, change: Partial<MachineRoute> = {}): MachineRoute {
  return {
    ...{ id, app: "web", region: "ord", hostNumber: 1, services: [serviceRoute()], instanceId: "v1" },
    ...{ state: "stopped", cordoned: false, generation: 1, processGroup: "" },
    ...change,
  };
}

/** Routes of the app `web` with these machines, at host 1. */
export function routesOf(...machines: MachineRoute[]): Routes {
  return {
    position: "1",
    apps: [{ name: "web", org: "acme", hostnames: [] }],
    machines,
    hosts: [{ number: 1, name: "host-1", region: "ord", address: "127.0.0.1:1" }],
  };
}

/** A request without wishes. */
export function plainAsk(change: Partial<Ask> = {}): Ask {
  return { kind: "request", traceparent: "", exclude: new Set(), avoid: new Set(), ...change };
}
