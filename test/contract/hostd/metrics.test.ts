import { afterAll, beforeAll, expect, test } from "vitest";
import { exposeHost } from "../../../src/hostd/telemetry/host-metrics.ts";
import { call } from "../../../src/lib/grpc/client.ts";
import { metric } from "../../support/telemetry/metrics-page.ts";
import { startHost, type TestHost } from "./fixture.ts";
import { createRequest } from "./requests.ts";

const MB = 1_024 * 1_024;
/** Of the simulated VMM. */
const SAVED_BYTES = 8 * MB;

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
  exposeHost({ ...host.host, store: host.store });
});
afterAll(() => host.close());

test("a start is measured by its start path, and counted once when it is repeated", async () => {
  const starts = await since("windhover_start_duration_seconds_count", { start_path: "cold", outcome: "ok" });
  const running = await since("windhover_machines", { state: "started" });
  const { id } = await host.created();

  await Promise.all([host.start(id), host.start(id)]);
  await host.start(id);

  expect(await starts()).toBe(1);
  expect(await running()).toBe(1);
  expect(await metric("windhover_starts_in_progress")).toBe(0);
});

test("a start that fails is measured by its outcome and reason", async () => {
  const users = await host.created({ exec: ["sim-exec-fail", "not_found"] });
  const ours = await host.created({ exec: ["sim-vmm-fail"] });

  await expect(host.start(users.id)).rejects.toThrow();
  await expect(host.start(ours.id)).rejects.toThrow();

  const count = "windhover_start_duration_seconds_count";
  expect(await metric(count, { start_path: "none", outcome: "refused" })).toBe(1);
  expect(await metric(count, { start_path: "none", outcome: "failed" })).toBe(1);
  for (const reason of ["exec_failed", "start_failed"]) {
    expect(await metric("windhover_refusals_total", { operation: "start", reason })).toBe(1);
  }
  expect(await metric("windhover_machines", { state: "failed" })).toBe(2);
});

test("a stop of a running machine is measured", async () => {
  const stops = await since("windhover_stop_duration_seconds_count", { outcome: "ok" });
  const { id } = await host.created();
  await host.start(id);

  await host.stop(id);
  await host.stop(id);

  expect(await stops()).toBe(1);
});

test("saves are measured by what they are for, and what they take of the disk is told", async () => {
  const suspends = await since("windhover_save_duration_seconds_count", { kind: "suspend", outcome: "ok" });
  const snapshots = await since("windhover_save_duration_seconds_count", { kind: "snapshot", outcome: "ok" });
  const refused = await since("windhover_refusals_total", { operation: "suspend", reason: "suspend_failed" });
  const { id } = await host.created({ config: { snapshot: "ready" } });

  await host.start(id);
  await expect.poll(snapshots).toBe(1);
  host.sim.failNext("save");
  await expect(host.suspend(id)).rejects.toMatchObject({ reason: "SUSPEND_FAILED" });
  await host.suspend(id);

  expect(await suspends()).toBe(1);
  expect(await refused()).toBe(1);
  expect(await metric("windhover_saved_bytes", { kind: "suspend" })).toBe(SAVED_BYTES);
  expect(await metric("windhover_saved_bytes", { kind: "snapshot" })).toBe(SAVED_BYTES);
  await host.start(id);
  expect(await metric("windhover_saved_bytes", { kind: "suspend" })).toBe(0);
  expect(await metric("windhover_saved_bytes", { kind: "resume" })).toBe(SAVED_BYTES);
  await host.destroy(id, { force: true });
  expect(await metric("windhover_saved_bytes", { kind: "snapshot" })).toBe(0);
});

test("holds are exposed until they expire, which is counted, or are released, which is not", async () => {
  const ttlMs = 1;
  const released = host.hold(512);
  const before = await metric("windhover_ledger_held", { resource: "memory_bytes" });
  host.host.ledger.release([released.reservationId]);
  const expired = host.hold(256, ttlMs);

  expect(before).toBe(512 * MB);
  expect(await metric("windhover_ledger_capacity", { resource: "cpus" })).toBe(8);
  await expect.poll(() => metric("windhover_holds_expired_total")).toBe(1);
  expect(await metric("windhover_ledger_held", { resource: "memory_bytes" })).toBe(0);

  const award = call(host.client, host.client.createMachine, createRequest(expired), { timeoutMs: 20_000 });
  await expect(award).rejects.toMatchObject({ reason: "HOLD_EXPIRED" });
  expect(await metric("windhover_refusals_total", { operation: "award", reason: "hold_expired" })).toBe(1);
});

test("the outbox lag is exposed in changes and by age", async () => {
  await host.created();
  await host.store.acknowledge(host.store.sequence);
  const caughtUp = [
    await metric("windhover_outbox_lag_events"),
    await metric("windhover_outbox_lag_seconds"),
  ];

  await host.create();

  expect(caughtUp).toEqual([0, 0]);
  expect(await metric("windhover_outbox_lag_events")).toBe(1);
  await expect.poll(() => metric("windhover_outbox_lag_seconds")).toBeGreaterThan(0.05);
  expect(await metric("windhover_outbox_lag_seconds")).toBeLessThan(60);
});

test("machines are counted that proxies use, and that are not ready", async () => {
  const { id } = await host.created({
    exec: ["sim-deaf"],
    config: { services: [{ protocol: "tcp", internalPort: 80, ports: [{ port: 80 }] }] },
  });
  await host.start(id);
  const uses = host.host.proxies.uses.stream("p-1");

  uses.use(id);

  expect(await metric("windhover_machines_used")).toBe(1);
  expect(await metric("windhover_machines_unready")).toBe(1);
  uses.release(id, 0);
  await host.stop(id);
  expect(await metric("windhover_machines_used")).toBe(0);
  expect(await metric("windhover_machines_unready")).toBe(0);
});

/** Returns a function that reads the growth of a metric since now. */
async function since(...of: Parameters<typeof metric>): Promise<() => Promise<number>> {
  const before = (await metric(...of)) ?? 0;
  return async () => ((await metric(...of)) ?? 0) - before;
}
