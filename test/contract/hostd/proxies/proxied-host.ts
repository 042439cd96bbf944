import { afterEach, expect } from "vitest";
import { StartMachineRequest, StopMachineRequest } from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { startHost, type TestHost } from "../fixture.ts";
import { AttachedProxy } from "./attached-proxy.ts";

export const SCOPE = { timeoutMs: 20_000 };
export const LOST_USE_MS = 30_000;

/** Real time, which tests move on. */
export const clock = {
  aheadMs: 0,
  now: () => Date.now() + clock.aheadMs,
  monotonicMs: () => performance.now() + clock.aheadMs,
};

/** Starts a host that is past the time in which it knows no uses. */
export async function startProxiedHost(): Promise<TestHost> {
  const host = await startHost({ clock });
  clock.aheadMs += LOST_USE_MS;
  return host;
}

/** Calls of proxies to a host, for the tests of one file. After each, proxies and machines are removed. */
export function useProxies(host: () => TestHost) {
  const attached: AttachedProxy[] = [];
  afterEach(async () => {
    for (const proxy of attached.splice(0)) proxy.leave();
    for (const { id } of host().machines.list()) await host().destroyLeased(id);
    await expectCleanAfterRemoval(host());
  });

  return {
    attach(proxyId = "p-1"): AttachedProxy {
      const proxy = new AttachedProxy(host().client, proxyId);
      attached.push(proxy);
      return proxy;
    },

    async started(config = {}): Promise<string> {
      const { id } = await host().created({ config });
      await host().start(id);
      return id;
    },

    async use(proxy: AttachedProxy, id: string): Promise<void> {
      await proxy.say({ useIds: [id] });
      await expect.poll(() => proxy.used.has(id)).toBe(true);
    },

    stopIdle(id: string, unusedForMs = 0, at = host()) {
      const request = { machineId: id, ifUnusedFor: durationToProto(unusedForMs), source: "proxy" };
      return call(at.client, at.client.stopMachine, StopMachineRequest.create(request), SCOPE);
    },

    startFromProxy(id: string) {
      const { client } = host();
      const request = { machineId: id, source: "proxy", fromProxy: true };
      return call(client, client.startMachine, StartMachineRequest.create(request), SCOPE);
    },
  };
}
