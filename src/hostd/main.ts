/**
 * hostd: owns the machines of one host, that is its capacity ledger, their disks and VMs, and their true state. The api calls it for everything about a
 * machine; it attaches itself to the schedulers and bids for new ones. It may lose nothing: its state is durable on its own disk, it can be killed at any
 * moment, and a restart never stops a VM: the next hostd takes all of them over.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { HostServiceService } from "../gen/windhover/hostd/v1/hostd.ts";
import { TokenVerifier } from "../lib/auth/auth.ts";
import { internalTokens } from "../lib/auth/tokens.ts";
import { addHealth, Health } from "../lib/grpc/server/health.ts";
import { addReflection } from "../lib/grpc/server/reflection.ts";
import { createServer, serve } from "../lib/grpc/server/serve.ts";
import { startWarmUp } from "../lib/grpc/server/warm-up.ts";
import { serveMetrics } from "../lib/otel/metrics.ts";
import { flushTelemetry } from "../lib/otel/tracing.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import { ConfigError } from "../lib/runtime/config.ts";
import { Fault } from "../lib/runtime/fault.ts";
import { Stack, untilSignal } from "../lib/runtime/lifecycle.ts";
import { createLogger } from "../lib/runtime/log.ts";
import { within } from "../lib/runtime/wait.ts";
import { DiskWatch } from "./availability/disk-watch.ts";
import type { Scheduling } from "./availability/scheduling.ts";
import { SchedulingFile } from "./availability/scheduling-file.ts";
import { startAnnouncing, startBackground } from "./background.ts";
import { type BidHints, bid } from "./capacity/bid.ts";
import { type HostdConfig, readConfig } from "./config.ts";
import { announcementToProto, hostEventToProto, hostInfoToProto, statusToProto } from "./convert-host.ts";
import { assembleHost } from "./hostd.ts";
import { ImageCacheClient } from "./images/imagecache-client.ts";
import { reconcileAtStart } from "./machines/reconcile.ts";
import { isStartable } from "./machines/states.ts";
import { Outbox } from "./reports/outbox.ts";
import { reportsClient } from "./reports/reports-client.ts";
import { attachToSchedulers } from "./scheduler-link/scheduler-stream.ts";
import { hostService } from "./service.ts";
import { Store } from "./store/store.ts";
import { countBid, exposeHost } from "./telemetry/metrics.ts";
import { poolMetrics } from "./telemetry/pool-metrics.ts";
import { makeVmm } from "./vmm/index.ts";

const SERVICE = "windhover.hostd.v1.HostService";
/** How long the outbox gets to deliver what a shutdown has made of the machines. What is left goes at the next start. */
const LAST_DELIVERY_MS = 2_000;

const log = createLogger("hostd");
try {
  const config = readConfig(process.env);
  if (process.argv.includes("--check-config")) process.stdout.write(`${config.shown}\n`);
  else await run(config);
} catch (err) {
  if (err instanceof ConfigError) process.stderr.write(`hostd: ${err.message}\n`);
  else log.error("hostd failed", { error: err });
  process.exitCode = 1;
}

async function run(config: HostdConfig): Promise<void> {
  const stopped = untilSignal();
  const stack = new Stack();
  const closing = new AbortController();
  try {
    stack.add("telemetry", () => flushTelemetry());
    const verifier = new TokenVerifier(readFileSync(config.publicKeyFile, "utf8"));
    const token = internalTokens(readFileSync(config.signingKeyFile, "utf8"), "hostd");

    const store = await Store.open({ path: join(config.dir, "state.db"), onDeath: crash });
    stack.add("store", () => store.close());
    const images = new ImageCacheClient(config.imagecache, token);
    stack.add("imagecache", () => images.close());
    const vmm = await makeVmm({ ...config.vmm, pool: poolMetrics });
    stack.add("vmm", () => vmm.close());
    const scheduling = await SchedulingFile.open(config.dir);
    const disk = await DiskWatch.open(config.dir);
    const parts = { store, vmm, images, scheduling, disk, clock: systemClock, log, closing: closing.signal };
    const assembled = assembleHost(config, parts);
    const { host, machines, logs } = assembled;
    stack.add("logs", () => logs.flush());
    stack.add("machines", () => machines.detach());
    stack.add("retries", () => closing.abort());
    await reconcileAtStart(host, machines);
    vmm.keepWarm?.({
      shapes: () =>
        [...store.all()].filter(({ state }) => isStartable(state)).map(({ spec }) => spec.resources),
      lend: (megabytes) => host.ledger.lend(megabytes),
      onReclaim: (reclaim) => host.ledger.onReclaim(reclaim),
    });

    const load = () => Math.min(1, (loadavg()[0] ?? 0) / availableParallelism());
    const identity = {
      number: config.number,
      name: config.name,
      identity: store.identity,
      region: config.region,
      zone: config.zone,
      address: config.address ?? config.listen,
      capacity: config.capacity,
      vmm: vmm.info,
      labels: config.labels,
    };
    const apis = config.apis.map((address) => reportsClient(address, token));
    for (const api of apis) stack.add("api client", () => api.close());
    const delivering = new AbortController();
    const outbox = new Outbox({
      source: store,
      apis,
      host: identity,
      toEvent: (entry) => hostEventToProto(entry, config.name),
      signal: delivering.signal,
    });
    const delivered = outbox.run();
    stack.add("outbox", async () => {
      await within(LAST_DELIVERY_MS, "the last delivery", () => outbox.drained()).catch(() => {});
      delivering.abort();
      await delivered;
    });
    if (config.stopVmsOnExit) {
      const longestMs = 310_000;
      stack.add("running machines", () => machines.stopAll(), longestMs);
    }
    startBackground(stack, { ...assembled, store, images, disk });

    const health = new Health([SERVICE]);
    const server = createServer({ verifier });
    server.addService(
      HostServiceService,
      hostService({ identity, host, machines, logs, load, outbox: store, scheduling }),
    );
    addHealth(server, health);
    addReflection(server, [SERVICE, "grpc.health.v1.Health"]);
    if (config.metricsListen !== undefined) {
      exposeHost({ host, outbox: store });
      const variable = "HOSTD_METRICS_LISTEN";
      stack.add("metrics", await serveMetrics(config.metricsListen, () => health.isServing(), variable));
    }
    const running = await serve(server, config.listen, config.graceMs, health, "HOSTD_LISTEN");
    stack.add("grpc", running, config.graceMs + 5_000);
    if (config.address === undefined) identity.address = config.listen.replace(/:0$/, `:${running.port}`);

    startAnnouncing(stack, apis, announcementToProto(identity));
    const detaching = new AbortController();
    const attachment = attachToSchedulers({
      addresses: config.schedulers,
      hello: () => hostInfoToProto(identity),
      status: () => statusToProto(host, load()),
      bid: (asked) =>
        countBid(
          bid(host, asked, {
            ...closedBecause(detaching.signal, scheduling.current),
            imageLocal: images.isLocal(asked.imageDigest),
            load: load(),
          }),
        ),
      release: (reservations) => host.ledger.release(reservations),
      images: () => images.hints(),
      token,
      logger: log,
      signal: detaching.signal,
    });
    scheduling.onChange = () => attachment.statusChanged();
    stack.add("schedulers", async () => {
      detaching.abort();
      await attachment.done;
    });
    startWarmUp(stack, config.listen, running.port, config.warmUpCalls);
    log.info("ready", { listen: config.listen, port: running.port, number: config.number, vmm: vmm.info });

    log.info("stopping", { signal: await stopped, stop_vms: config.stopVmsOnExit });
  } finally {
    await stack.close();
  }
}

/** Why no bid is answered with an offer, if so. */
function closedBecause(ending: AbortSignal, scheduling: Scheduling): Pick<BidHints, "closed"> {
  if (ending.aborted) return { closed: "draining" };
  return scheduling === "open" ? {} : { closed: scheduling };
}

/** Without its store hostd can keep nothing; the supervisor starts it anew, and reconcile puts things right. */
function crash(cause: Error): void {
  throw new Fault("INTERNAL", "STORE_LOST", "the store's thread has ended", {}, { cause });
}
