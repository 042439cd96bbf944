import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CheckConfig, MachineConfig } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { hostFolder, startHost, type TestHost } from "../fixture.ts";

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

test("configurations with everything are returned unchanged", async () => {
  const config = {
    restart: { policy: "on-failure", maxRetries: 3 },
    autoDestroy: true,
    schedule: "daily",
    files: [{ guestPath: "/etc/x", content: Buffer.from([0, 255, 10]), mode: 0o600 }],
    dns: { nameservers: ["1.1.1.1"], searches: ["a.b"], options: ["ndots:2"], hostname: "h" },
    extra: { checks: { web: { port: 80, tags: ["a", null] } } },
    init: { tty: true, exec: ["/bin/server"] },
  };

  const { id } = await host.created({ config });

  expect((await host.get(id)).config).toMatchObject(config);
});

test("what proxies and checks do is returned unchanged, also by the next hostd", async () => {
  const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });
  const check = { type: "http", path: "/up", interval: seconds(5), gracePeriod: seconds(0) };
  const { services, checks, ...others } = MachineConfig.fromPartial({
    services: [
      {
        ...{ protocol: "tcp", internalPort: 8080, autostart: false, autostop: "suspend" },
        ports: [{ port: 80, handlers: ["http"], httpOptions: { responseHeaders: new Map([["via", ""]]) } }],
        ...{ concurrency: { softLimit: 1 }, checks: [check], idleTimeout: seconds(60) },
      },
      { protocol: "udp", internalPort: 53, ports: [{ startPort: 53, endPort: 54 }] },
    ],
    checks: new Map([["up", CheckConfig.fromPartial({ port: 1, kind: "readiness" })]]),
    ...{ snapshot: "ready", maxLifetime: seconds(3_600), maxBusy: seconds(0) },
  });
  const { snapshot, maxLifetime, maxBusy } = others;
  const config = { services, checks, snapshot, maxLifetime, maxBusy };
  const folder = hostFolder();
  const before = await startHost({ dir: folder.path });
  const { id } = await before.created({ config });
  expect((await before.get(id)).config).toMatchObject(config);
  await before.close();

  const after = await startHost({ dir: folder.path });

  expect((await after.get(id)).config).toMatchObject(config);
  await after.close();
  folder.remove();
});
