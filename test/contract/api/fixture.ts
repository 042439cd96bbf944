import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Api, openApi } from "../../../src/api/api.ts";
import type { FoundImage, ImageResolver } from "../../../src/api/creates/saga/create-tools.ts";
import type { ImageRef } from "../../../src/api/machines/machine.ts";
import { serveRest } from "../../../src/api/rest/rest.ts";
import { RULES } from "../../../src/api/service-rules.ts";
import type { Rates } from "../../../src/api/shares/rates.ts";
import type { CreateLimits } from "../../../src/api/shares/turns/create-slots.ts";
import { AuditLog, auditSettings } from "../../../src/lib/audit/audit-log.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import type { Scope } from "../../../src/lib/auth/claims.ts";
import { fixedSigningKey } from "../../../src/lib/auth/keys.ts";
import { Revocations } from "../../../src/lib/auth/revocations.ts";
import type { Fault } from "../../../src/lib/faults/fault.ts";
import type { TakeShare } from "../../../src/lib/grpc/server/edge/edge.ts";
import { DEFAULT_EDGE_LIMITS } from "../../../src/lib/grpc/server/edge/limits.ts";
import { createServer, localCallsOf, serve } from "../../../src/lib/grpc/server/serve.ts";
import type { RunConfig } from "../../../src/lib/oci/image/config.ts";
import { systemClock } from "../../../src/lib/runtime/clock.ts";
import { Stack } from "../../../src/lib/runtime/lifecycle.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import type { SealingKeys } from "../../../src/lib/sealing/sealing-keys.ts";
import { migrate } from "../../../src/lib/stores/migrate.ts";
import { createDatabase } from "../../support/servers/postgres.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { announce, clients, KEYS, REGION, token } from "./clients.ts";
import { FakeHost } from "./fakes/fake-host.ts";
import { FakeScheduler } from "./fakes/fake-scheduler.ts";

createLogger("test", { write: () => {} });

export const verifier = new TokenVerifier(KEYS.publicKey);
export const DIGEST = `sha256:${"ab".repeat(32)}`;
const IMAGE: ImageRef = {
  registry: "docker.io",
  repository: "library/nginx",
  tag: "latest",
  digest: DIGEST,
};

const TEMPLATE = {
  name: "api",
  prepare: async (url: string) => {
    await migrate(url, new URL("../../../src/api/sql/", import.meta.url));
  },
};

const RUN: RunConfig = {
  ...{ entrypoint: ["/serve"], cmd: [], env: [], user: "", workingDir: "", exposedPorts: [] },
  ...{ stopSignal: "", labels: {} },
};

/** A resolver that knows one image, and fails when it is told to. */
class FakeImages implements ImageResolver {
  fault: Fault | undefined;
  /** What differs from an image that runs. */
  run: Partial<RunConfig> = {};
  digest = DIGEST;
  asked = 0;

  async resolve(): Promise<FoundImage> {
    this.asked += 1;
    if (this.fault) throw this.fault;
    return { image: { ...IMAGE, digest: this.digest }, run: { ...RUN, ...this.run } };
  }
}

/** Everything around apis: a database, hosts, a scheduler, and any number of apis. */
export class World {
  readonly database: Awaited<ReturnType<typeof createDatabase>>;
  readonly scheduler = new FakeScheduler(verifier);
  readonly images = new FakeImages();
  readonly #stack = new Stack();
  readonly #pool: pg.Pool;

  private constructor(database: Awaited<ReturnType<typeof createDatabase>>) {
    this.database = database;
    this.#pool = new pg.Pool({ connectionString: database.url, max: 2 });
    this.#pool.on("error", () => {});
  }

  static async open(hosts = 2): Promise<World> {
    const world = new World(await createDatabase(TEMPLATE));
    world.#stack.add("database", () => world.database.close());
    world.#stack.add("pool", () => world.#pool.end());
    await world.scheduler.start();
    world.#stack.add("scheduler", () => world.scheduler.stop());
    for (let number = 1; number <= hosts; number++) await world.addHost(number);
    return world;
  }

  async addHost(number: number): Promise<FakeHost> {
    const host = new FakeHost({ number, verifier });
    await host.start();
    this.#stack.add(host.name, () => host.stop());
    this.scheduler.hosts.push(host);
    return host;
  }

  /** Host 1 is asked first, then host 2. */
  host(number: number): FakeHost {
    const host = this.scheduler.hosts.find((one) => one.number === number);
    if (!host) throw new Error(`there is no host ${number}`);
    return host;
  }

  /** Starts an api that has reached the database of the world and knows all hosts. */
  async api(options: Parameters<typeof startApi>[1] = {}): Promise<TestApi> {
    const api = await startApi(this, options);
    this.#stack.add("api", () => api.close());
    // Calls wait for it for 2 s, or less.
    while (options.databaseUrl === undefined && !api.database.isReady) await sleep(5);
    for (const host of options.knowsHosts === false ? [] : this.scheduler.hosts) await api.announce(host);
    return api;
  }

  async sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values)).rows;
  }

  /** Forgets all machines and creates, everywhere, and all scripts. */
  async clear(): Promise<void> {
    await this.sql("delete from sagas");
    await this.sql("delete from machines");
    this.scheduler.clear();
    for (const host of this.scheduler.hosts) host.clear();
  }

  /** Machines that any host has. */
  get onHosts() {
    return this.scheduler.hosts.flatMap((host) => [...host.machines.values()]);
  }

  /** What creates have left on hosts and in the database, besides finished sagas. */
  async leftovers() {
    const rows = await this.sql("select id, state from machines where state <> 'destroyed'");
    const unfinished = await this.sql("select id, status from sagas where status not in ('done', 'failed')");
    const holds = this.scheduler.hosts.flatMap((host) => [...host.holds.keys()]);
    return { machines: this.onHosts.map((machine) => machine.id), rows, unfinished, holds };
  }

  close(): Promise<void> {
    return this.#stack.close();
  }
}

export const NOTHING_LEFT = { machines: [], rows: [], unfinished: [], holds: [] };

/** One api, served on a free port, and clients of it. */
export interface TestApi extends Awaited<ReturnType<typeof startApi>> {}

export async function startApi(
  world: Pick<World, "database" | "scheduler" | "images">,
  options: {
    databaseUrl?: string;
    stateDir?: string;
    sweeps?: boolean;
    knowsHosts?: boolean;
    reconcileMs?: number;
    region?: string;
    syslog?: string;
    otlp?: string;
    schedulers?: Parameters<typeof openApi>[0]["schedulers"];
    rates?: Rates;
    createLimits?: CreateLimits;
    callsAtOnce?: number;
    arrivalMs?: { readonly headers: number; readonly request: number };
    inProgressLimits?: Parameters<typeof openApi>[0]["inProgressLimits"];
    sealingKeys?: SealingKeys;
    fleetCredentials?: Parameters<typeof openApi>[0]["fleetCredentials"];
    checkLogin?: Parameters<typeof openApi>[0]["checkLogin"];
    proxyDomains?: readonly string[];
  } = {},
) {
  const folder = temporaryFolder("api");
  const stack = new Stack();
  const revocations = new Revocations();
  const auditDir = join(folder.path, "audit");
  const api: Api = await openApi(
    {
      region: options.region ?? REGION,
      databaseUrl: options.databaseUrl ?? world.database.url,
      databaseConnections: 8,
      schedulers: options.schedulers ?? [{ region: REGION, address: world.scheduler.address }],
      stateDir: options.stateDir ?? join(folder.path, "state"),
      keys: fixedSigningKey(KEYS.privateKey),
      revocations,
      auditDir,
      images: world.images,
      clock: systemClock,
      retryMs: 20,
      reconcileMs: options.reconcileMs ?? 100,
      sweeps: options.sweeps ?? false,
      ...(options.rates ? { rates: options.rates } : {}),
      ...(options.callsAtOnce ? { callsAtOnce: options.callsAtOnce } : {}),
      ...(options.inProgressLimits ? { inProgressLimits: options.inProgressLimits } : {}),
      ...(options.createLimits ? { createLimits: options.createLimits } : {}),
      ...(options.sealingKeys ? { sealingKeys: options.sealingKeys } : {}),
      ...(options.fleetCredentials ? { fleetCredentials: options.fleetCredentials } : {}),
      ...(options.proxyDomains ? { proxyDomains: options.proxyDomains } : {}),
      ...(options.checkLogin ? { checkLogin: options.checkLogin } : {}),
    },
    stack,
  );
  const takeShare: TakeShare = (claims, path) => api.inProgress.take(claims, path);
  const checker = new TokenVerifier(KEYS.publicKey, systemClock, revocations);
  const audit = new AuditLog(
    auditSettings(
      { AUDIT_FILE_MB: 1, AUDIT_FILES: 3, AUDIT_SYSLOG: options.syslog, AUDIT_OTLP: options.otlp },
      auditDir,
    ),
    "api",
  );
  stack.add("audit log", () => audit.close());
  const server = createServer({
    ...{ verifier: checker, rules: RULES, audit, takeShare },
    appOf: (machineId, org) => api.lookups.appOf(machineId, org),
  });
  api.addTo(server);
  const running = await serve(server, "127.0.0.1:0", 200);
  const address = `127.0.0.1:${running.port}`;
  const rest = await serveRest(
    {
      listen: "127.0.0.1:0",
      region: options.region ?? REGION,
      graceMs: 200,
      connections: DEFAULT_EDGE_LIMITS.connections,
      origins: ["*"],
      ...(options.arrivalMs ? { arrivalMs: options.arrivalMs } : {}),
    },
    localCallsOf(server),
    api.lookups,
  );
  const user = await clients(address, await token("personal", ["machines:read", "machines:write"]));
  const admin = await clients(address, await token("personal", ["admin", "machines:read", "machines:write"]));
  const internal = await clients(address, await token("", ["internal"]));
  let closed: Promise<void> | undefined;
  return {
    ...api,
    ...{ address, auditDir, revocations },
    restAddress: `127.0.0.1:${rest.port}`,
    user,
    admin,
    internal,
    announce: (host: FakeHost) => announce(internal, host),
    as: async (org: string, scopes: readonly Scope[]) => clients(address, await token(org, scopes)),
    close(): Promise<void> {
      closed ??= (async () => {
        // In the order of main.ts.
        await api.runner.drain(50);
        await rest();
        await running();
        for (const each of [user, admin, internal]) each.close();
        await stack.close();
        folder.remove();
      })();
      return closed;
    },
  };
}
