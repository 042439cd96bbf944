import { HostServiceClient } from "../gen/windhover/hostd/v1/hostd.ts";
import type { TokenSource } from "../lib/auth/tokens.ts";
import { connect } from "../lib/grpc/client.ts";
import { startLoop } from "../lib/runtime/lifecycle.ts";
import { attachToHost } from "./hosts/attach-client.ts";
import { machineCalls } from "./hosts/calls-client.ts";
import type { HostConnector } from "./hosts/hosts.ts";
import { countingObserver } from "./metrics.ts";
import { MachineRouter } from "./router.ts";
import { RouteTable } from "./routes/route-table.ts";
import { followRoutes } from "./routes/routes-client.ts";
import { RoutesFile } from "./routes/routes-file.ts";
import { systemTimers } from "./timers.ts";

/** What a proxy's choice of machines is made from. */
export interface ControlSettings {
  readonly id: string;
  readonly region: string;
  readonly apis: readonly string[];
  readonly domains: readonly string[];
  readonly routesFile: string;
  readonly token: TokenSource;
  /** How often idle machines are looked for, in milliseconds. Default {@link IDLE_PASS_MS}. */
  readonly idlePassMs?: number;
}

export interface Control {
  readonly table: RouteTable;
  readonly router: MachineRouter;
  stop(): Promise<void>;
}

const SWEEP_MS = 1_000;
const IDLE_PASS_MS = 2_000;

/** Opens the control side of a proxy: routes, hosts, choice, queue and idle stops. */
export async function openControl(settings: ControlSettings): Promise<Control> {
  const { id, region, apis, domains, token, idlePassMs = IDLE_PASS_MS } = settings;
  const abort = new AbortController();
  const table = new RouteTable(domains);
  const router = new MachineRouter({
    ...{ proxyId: id, region, table, timers: systemTimers, observer: countingObserver, random: Math.random },
    connector: grpcConnector(token, abort.signal),
  });
  const file = new RoutesFile(settings.routesFile, () => table.dump());
  const kept = await file.load();
  if (kept) table.replace(kept);
  const changed = () => file.changed();
  const following = followRoutes({ apis, token, table, changed, signal: abort.signal });
  const stops = [
    startLoop(SWEEP_MS, 0, () => router.sweep(), { name: "sweep uses" }),
    // Proxies do not all ask at once.
    startLoop(idlePassMs, idlePassMs / 4, () => router.stopIdle(), { name: "stop idle machines" }),
  ];
  return {
    table,
    router,
    async stop() {
      abort.abort();
      router.close();
      await Promise.all([following, ...stops.map((stop) => stop())]);
      await file.flush();
    },
  };
}

/** Connects to hosts by gRPC: the stream and the calls have a connection each. */
function grpcConnector(token: TokenSource, signal: AbortSignal): HostConnector {
  return {
    connect(host, link) {
      const abort = new AbortController();
      const options = { token, ownConnection: true };
      const streams = connect(HostServiceClient, host.address, options);
      const calls = connect(HostServiceClient, host.address, options);
      const ended = AbortSignal.any([signal, abort.signal]);
      const attached = attachToHost(streams, link, { host: host.name }, ended);
      return {
        calls: machineCalls(calls),
        close() {
          abort.abort();
          calls.close();
          void attached.then(() => streams.close());
        },
      };
    },
  };
}
