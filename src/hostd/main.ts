/**
 * hostd: owns the machines of one host, that is its capacity ledger, their disks and VMs, and their true state. The api calls it for everything about a
 * machine; it attaches itself to the schedulers and bids for new ones. It may lose nothing: its state is durable on its own disk, it can be killed at any
 * moment, and a restart never stops a VM: the next hostd takes all of them over.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { HostServiceService } from "../gen/windhover/hostd/v1/hostd.ts";
import { internalTokens } from "../lib/auth/tokens.ts";
import { Fault } from "../lib/faults/fault.ts";
import { startWarmUp } from "../lib/grpc/builtin/warm-up.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { logger } from "../lib/runtime/log.ts";
import { within } from "../lib/runtime/wait.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { DiskWatch } from "./availability/disk-watch.ts";
import type { Scheduling } from "./availability/scheduling.ts";
import { SchedulingFile } from "./availability/scheduling-file.ts";
import { startAnnouncing, startBackground } from "./background.ts";
import { type BidHints, bid } from "./capacity/bid.ts";
import { type HostdConfig, readConfig } from "./config.ts";
import { announcementToProto, hostEventToProto, hostInfoToProto, statusToProto } from "./convert-host.ts";
import { assembleHost } from "./hostd.ts";
import { ImageCacheClient } from "./images/imagecache-client.ts";
import { isStartable } from "./machines/states.ts";
import { reconcileAtStart } from "./operations/reconcile.ts";
import { Outbox } from "./reports/outbox.ts";
import { reportsClient } from "./reports/reports-client.ts";
import { attachToSchedulers } from "./scheduler-link/attach-client.ts";
import { hostService } from "./service.ts";
import { Store } from "./store/store.ts";
import { countBid, exposeHost } from "./telemetry/metrics.ts";
import { poolMetrics } from "./telemetry/pool-metrics.ts";
import { selectVmm } from "./vmm/select.ts";

/** How long the outbox gets to deliver what a shutdown has made of the machines. What is left goes at the next start. */
const LAST_DELIVERY_MS = 2_000;

await runService("hostd", readConfig, start);

async function start(config: HostdConfig, stack: Stack) {
  const closing = new AbortController();
  const token = internalTokens(readFileSync(config.signingKeyFile, "utf8"), "hostd");

  const store = await Store.open({ path: join(config.dir, "state.db"), onDeath: crash });
  stack.add("store", () => store.close());
  const images = new ImageCacheClient(config.imagecache, token);
  stack.add("imagecache", () => images.close());
  const vmm = await selectVmm({ ...config.vmm, metrics: poolMetrics });
  stack.add("vmm", () => vmm.close());
  const scheduling = await SchedulingFile.open(config.dir);
  const disk = await DiskWatch.open(config.dir);
  const parts = {
    store,
    vmm,
    images,
    scheduling,
    disk,
    clock: systemClock,
    log: logger,
    closing: closing.signal,
  };
  const assembled = assembleHost(config, parts);
  const { host, machines, logs } = assembled;
  stack.add("logs", () => logs.flush());
  stack.add("machines", () => machines.detach());
  stack.add("retries", () => closing.abort());
  await reconcileAtStart(host, machines);
  vmm.keepWarm?.({
    shapes: () =>
      [...store.all()].filter(({ state }) => isStartable(state)).map(({ spec }) => spec.resources),
    setReclaimable: (megabytes) => host.ledger.lend(megabytes),
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

  const running = await serveGrpc(stack, config, {
    prefix: "HOSTD",
    services: ["windhover.hostd.v1.HostService"],
    addTo: (server) =>
      server.addService(
        HostServiceService,
        hostService({ identity, host, machines, logs, load, outbox: store, scheduling }),
      ),
    exposeMetrics: () => exposeHost({ host, outbox: store }),
  });
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
    logger,
    signal: detaching.signal,
  });
  scheduling.onChange = () => attachment.statusChanged();
  stack.add("schedulers", async () => {
    detaching.abort();
    await attachment.done;
  });
  startWarmUp(stack, config.listen, running.port, config.warmUpCalls);
  return { listen: config.listen, port: running.port, number: config.number, vmm: vmm.info };
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
