import { join } from "node:path";
import { AppRoute, HostRoute, MachineRoute } from "../../../../src/gen/windhover/admin/v1/routes.ts";
import { MachineState, ServiceConfig } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { generateKeyPair } from "../../../../src/lib/auth/keys.ts";
import { internalTokens } from "../../../../src/lib/auth/tokens.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { createLogger } from "../../../../src/lib/runtime/log.ts";
import { type Control, openControl } from "../../../../src/proxy/proxy.ts";
import type { Place } from "../../../../src/proxy/route.ts";
import { plainAsk } from "../../../support/proxy/route-fixtures.ts";
import { temporaryFolder } from "../../../support/temporary.ts";
import { FakeApi } from "./fake-api.ts";
import { FakeHost } from "./fake-host.ts";

export const KEYS = generateKeyPair();
const IDLE_TIMEOUT_MS = 1_000;

createLogger("test", { write: () => {} });

/** A service with autostart and autostop, as a machine's configuration has it. */
export function serviceConfig(change: Partial<ServiceConfig> = {}): ServiceConfig {
  return ServiceConfig.fromPartial({
    ...{ protocol: "tcp", internalPort: 8080, autostart: true, autostop: "stop" },
    ports: [{ port: 80, handlers: ["http"] }],
    idleTimeout: durationToProto(IDLE_TIMEOUT_MS),
    ...change,
  });
}

export function machineRoute(id: string, change: Partial<MachineRoute> = {}): MachineRoute {
  return MachineRoute.fromPartial({
    ...{ id, app: "web", region: "ord", hostNumber: 1, services: [serviceConfig()] },
    ...{ instanceId: "v1", state: MachineState.STOPPED, generation: 1n },
    ...change,
  });
}

/** Routes of the app `web`. */
export function routesOf(host: FakeHost, ...machines: MachineRoute[]) {
  const apps = [AppRoute.fromPartial({ name: "web", org: "acme", hostnames: ["www.example.com"] })];
  const address = host.address;
  return {
    apps,
    machines,
    hosts: [HostRoute.fromPartial({ number: 1, name: "host-1", region: "ord", address })],
  };
}

/** An api, a host and the control sides of proxies, on free ports. */
export class ControlFixture {
  readonly api = new FakeApi(KEYS.publicKey);
  readonly host = new FakeHost(KEYS.publicKey);
  readonly folder = temporaryFolder("control");
  readonly #controls: Control[] = [];

  static async start(): Promise<ControlFixture> {
    const fixture = new ControlFixture();
    await Promise.all([fixture.api.start(), fixture.host.start()]);
    return fixture;
  }

  get routesFile(): string {
    return join(this.folder.path, "routes.json");
  }

  async open(apis: readonly string[] = [this.api.address]): Promise<Control> {
    const control = await openControl({
      ...{ id: "ord-1", region: "ord", apis, domains: ["localhost"], routesFile: this.routesFile },
      ...{ token: internalTokens(KEYS.privateKey, "proxy"), idlePassMs: 50 },
    });
    this.#controls.push(control);
    return control;
  }

  /** Asks for a place at the app `web`. */
  async admit({ router }: Control, change: Parameters<typeof plainAsk>[0] = {}): Promise<Place> {
    const target = router.target("web.localhost", 80);
    if (!target) throw new Error("nobody has the host name");
    return await router.admit(target, plainAsk(change), AbortSignal.timeout(30_000));
  }

  async close(): Promise<void> {
    for (const control of this.#controls.splice(0)) await control.stop();
    await Promise.all([this.api.stop(), this.host.stop()]);
    this.folder.remove();
  }
}
