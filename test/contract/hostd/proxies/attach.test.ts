import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SetMachineCordonRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { newId } from "../requests.ts";
import { AttachedProxy } from "./attached-proxy.ts";
import { LOST_USE_MS, SCOPE, startProxiedHost, useProxies } from "./proxied-host.ts";

const { STARTED, STOPPED, STOPPING, CREATED } = MachineState;

let host: TestHost;
beforeAll(async () => {
  host = await startProxiedHost();
});
afterAll(() => host.close());
const { attach } = useProxies(() => host);

describe("an attached proxy", () => {
  test("hears how a machine is, each of its changes, and that it is gone", async () => {
    const services = [{ protocol: "tcp", internalPort: 80 }];
    const { id } = await host.created({ config: { services } });
    const proxy = attach();
    await proxy.say({ watchIds: [id] });
    await expect.poll(() => proxy.machines.get(id)?.state).toBe(CREATED);
    expect(proxy.lostUseMs).toBe(LOST_USE_MS);

    await host.start(id);
    await expect.poll(() => proxy.machines.get(id)?.ready).toBe(true);
    const { serviceAddresses, generation, instanceId } = await host.get(id);
    expect(proxy.machines.get(id)).toMatchObject({
      state: STARTED,
      serviceAddresses,
      instanceId,
      generation,
    });
    const request = SetMachineCordonRequest.create({ machineId: id, cordoned: true });
    await call(host.client, host.client.setMachineCordon, request, SCOPE);
    await expect.poll(() => proxy.machines.get(id)?.cordoned).toBe(true);
    await host.stop(id);
    await expect.poll(() => proxy.machines.get(id)).toMatchObject({ state: STOPPED, lastEventType: "stop" });
    expect(proxy.machines.get(id)?.ready).toBe(false);

    const generations = proxy.heard.map((machine) => machine.generation);
    expect(generations).toEqual(generations.toSorted((a, b) => Number(a - b)));
    const unknown = newId();
    await proxy.say({ watchIds: [unknown] });
    await expect.poll(() => proxy.machines.get(unknown)?.missing).toBe(true);
  });

  test("hears of a stop before the program does", async () => {
    const { id } = await host.created({ exec: ["sim-signal-ignore"] });
    await host.start(id);
    const proxy = attach();
    await proxy.say({ watchIds: [id] });
    await expect.poll(() => proxy.machines.get(id)?.state).toBe(STARTED);

    const stopping = host.stop(id, { timeoutMs: 300_000 });

    await expect.poll(() => proxy.machines.get(id)).toMatchObject({ state: STOPPING, ready: false });
    await host.stop(id, { signal: "SIGKILL" });
    await stopping;
    const states = proxy.heard.map(({ state }) => state);
    expect(states.slice(states.indexOf(STOPPING))).not.toContain(STARTED);
  });

  test("hears from the host also when nothing happens", async () => {
    const other = await startHost({ limits: { lostUseMs: 600 } });
    const proxy = new AttachedProxy(other.client, "p-1");

    await expect.poll(() => proxy.messages, { timeout: 20_000 }).toBeGreaterThan(2);

    expect(proxy.heard).toEqual([]);
    proxy.leave();
    await other.close();
  });

  test("must name itself, once", async () => {
    const nameless = attach("");
    await expect.poll(() => nameless.fault).toMatchObject({ reason: "INVALID_FIELDS" });
    const proxy = attach();
    await expect.poll(() => proxy.lostUseMs).toBe(LOST_USE_MS);
    await proxy.say({ proxyId: "another" });
    await expect.poll(() => proxy.fault).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  test("takes the place of its own earlier stream", async () => {
    const first = attach("p-same");
    await expect.poll(() => first.lostUseMs).toBe(LOST_USE_MS);
    const second = attach("p-same");

    await expect.poll(() => first.fault).toMatchObject({ code: "ABORTED", reason: "PROXY_REPLACED" });
    expect(second.fault).toBeUndefined();
  });

  test("may not name too many machines in a message", async () => {
    const proxy = attach();
    await proxy.say({ watchIds: Array.from({ length: 10_001 }, () => newId()) });
    await expect.poll(() => proxy.fault).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  });
});
