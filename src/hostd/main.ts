/**
 * hostd owns the machines of one host: their disks, VMs and capacity. The api calls it; it attaches itself to the schedulers and answers
 * their bid requests. Its state is durable: a restart never stops a VM, and the next hostd takes all of them over.
 */
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { HostServiceService } from "../gen/windhover/hostd/v1/hostd.ts";
import { readRevocations } from "../lib/auth/revocation-file.ts";
import { internalTokens } from "../lib/auth/tokens.ts";
import { Fault } from "../lib/faults/fault.ts";
import { startWarmUp } from "../lib/grpc/builtin/warm-up.ts";
import { untraced } from "../lib/otel/untraced.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { within } from "../lib/runtime/wait.ts";
import { openSealingKeys } from "../lib/sealing/sealing-keys.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { DiskWatch } from "./availability/disk-watch.ts";
import { SchedulingFile } from "./availability/scheduling-file.ts";
import { startBackground } from "./background.ts";
import { bid } from "./capacity/bid.ts";
import { type HostdConfig, readConfig } from "./config.ts";
import { hostInfoToProto, statusToProto } from "./convert-host.ts";
import { assembleHost } from "./hostd.ts";
import { ImageCacheClient } from "./images/imagecache-client.ts";
import { MachineApi } from "./inside/machine-api.ts";
import { isStartable } from "./machines/states.ts";
import { reconcileAtStart } from "./operations/reconcile.ts";
import { Outbox } from "./reports/outbox.ts";
import { OutboxProgress } from "./reports/outbox-progress.ts";
import { ReportsClient } from "./reports/reports-client.ts";
import { followRevocationsOfApis } from "./reports/revocations-client.ts";
import { attachToSchedulers } from "./scheduler-link/attach-client.ts";
import { hostService } from "./service.ts";
import { RULES } from "./service-rules.ts";
import { Store } from "./store/store.ts";
import { exposeHost } from "./telemetry/host-metrics.ts";
import { countDecline } from "./telemetry/operation-metrics.ts";
import { poolMetrics } from "./telemetry/pool-metrics.ts";
import { selectVmm } from "./vmm/select.ts";

/** Time at shutdown to deliver the last changes. The next hostd delivers the rest. */
const LAST_DELIVERY_MS = 2_000;
/** More than the longest grace of a machine. */
const STOP_ALL_MS = 310_000;

await runService("hostd", readConfig, start);

async function start(config: HostdConfig, stack: Stack) {
  const closing = new AbortController();
  const access = openAccess(stack, config, true);
  const token = internalTokens(access.keys, "hostd");

  const keys = await openSealingKeys(config.sealingKeyDir);
  const store = await Store.open({ path: join(config.dir, "state.db"), keys, onDeath: crash });
  stack.add("store", () => store.close());
  const images = new ImageCacheClient(config.imagecache, token);
  stack.add("imagecache", () => images.close());
  const vmm = await selectVmm({ ...config.vmm, metrics: poolMetrics, hostName: config.name });
  stack.add("vmm", () => vmm.close());
  const scheduling = await SchedulingFile.open(config.dir);
  const disk = new DiskWatch(config.dir);
  await disk.refresh();
  const delivery = new OutboxProgress(store, systemClock);
  const { keys: signingKeys, revocations } = access;
  const inside = new MachineApi({
    keys: signingKeys,
    revocations,
    clock: systemClock,
    apis: config.apisRest,
  });
  stack.add("API inside machines", () => inside.close());
  const given = {
    ...{ store, vmm, images, scheduling, disk, delivery, inside },
    isBanned: (org: string) => access.revocations.isSuspended(org),
    ...{ clock: systemClock, closing: closing.signal, onDeath: crash },
  };
  const assembled = assembleHost(config, given);
  const { host, machines, logs } = assembled;
  stack.add("logs", () => logs.close());
  stack.add("machines", () => machines.detach());
  stack.add("retries", () => closing.abort());
  await reconcileAtStart(host, machines);
  vmm.keepWarm?.({
    shapes: () =>
      [...store.all()].filter(({ state }) => isStartable(state)).map(({ spec }) => spec.resources),
    setReclaimable: (megabytes) => host.ledger.setReclaimable(megabytes),
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
  const apis = config.apis.map((address) => new ReportsClient(address, token, identity));
  for (const api of apis) stack.add("api client", () => api.close());
  const revocationsFile = join(config.dir, "revocations.json");
  readRevocations(revocationsFile, access.revocations);
  const following = new AbortController();
  const followed = untraced(() =>
    followRevocationsOfApis({
      ...{ apis: config.apis, token, revocations: access.revocations, path: revocationsFile },
      signal: following.signal,
    }),
  );
  stack.add("revocations", async () => {
    following.abort();
    await followed;
  });
  const delivering = new AbortController();
  const outbox = new Outbox({ source: store, apis, signal: delivering.signal, progress: delivery });
  const delivered = untraced(() => outbox.run());
  stack.add("outbox", async () => {
    await within(LAST_DELIVERY_MS, "the last delivery", () => outbox.drained()).catch(() => {});
    delivering.abort();
    await delivered;
  });
  if (config.stopVmsOnExit) stack.add("running machines", () => machines.stopAll(), STOP_ALL_MS);

  const running = await serveGrpc(stack, config, access, {
    prefix: "HOSTD",
    services: ["windhover.hostd.v1.HostService"],
    rules: RULES,
    addTo: (server) =>
      server.addService(
        HostServiceService,
        hostService({
          ...{ identity, host, machines, logs, load, outbox: store, scheduling },
          revocations: access.revocations,
        }),
      ),
    takeAudit: (audit) => inside.auditTo(audit),
    exposeMetrics: () => exposeHost({ ...host, store }),
  });
  if (config.address === undefined) identity.address = config.listen.replace(/:0$/, `:${running.port}`);

  untraced(() => startBackground(stack, { ...assembled, images, disk, apis }));
  const detaching = new AbortController();
  const attach = () =>
    attachToSchedulers({
      addresses: config.schedulers,
      hello: () => hostInfoToProto(identity),
      status: () => statusToProto(host, load()),
      bid: (request) => {
        const imageLocal = images.isLocal(request.imageDigest);
        const isClosing = detaching.signal.aborted;
        const answer = bid(host, request, { isClosing, imageLocal, load: load() });
        countDecline(answer);
        return answer;
      },
      release: (reservations) => host.ledger.release(reservations),
      images: () => images.hints(),
      token,
      signal: detaching.signal,
    });
  const attachment = untraced(attach);
  scheduling.onChange = () => attachment.statusChanged();
  stack.add("schedulers", async () => {
    detaching.abort();
    await attachment.done;
  });
  startWarmUp(stack, config.listen, running.port, config.warmUpCalls, token);
  return { listen: config.listen, port: running.port, number: config.number, vmm: vmm.info };
}

/** Throws outside of any call, which ends the process. The supervisor restarts it. */
function crash(cause: Error): void {
  throw new Fault("INTERNAL", "THREAD_LOST", cause.message, {}, { cause });
}
