import { ProxyError } from "../../../src/proxy/proxy-error.ts";
import type { Ask, Place, PortNames, RoutedService, Router, Target, Wake } from "../../../src/proxy/route.ts";

/** A service as a test wants it; everything else has its default. */
export type ServiceOptions = Partial<Omit<RoutedService, "handlers" | "http" | "tls">> & {
  readonly handlers?: readonly ("http" | "tls" | "pg_tls" | "proxy_proto")[];
  readonly http?: Partial<RoutedService["http"]>;
  readonly tls?: Partial<RoutedService["tls"]>;
};

export interface TestMachine {
  readonly id: string;
  readonly port: number;
  readonly region?: string;
}

export interface TestApp {
  readonly name: string;
  readonly org?: string;
  /** Host name besides `NAME.localhost`. */
  readonly hostname?: string;
  /** Default 80. */
  readonly port?: number;
  readonly service?: ServiceOptions;
  readonly machines: readonly TestMachine[];
  /** Answers instead of the first machine that may be taken. */
  readonly admit?: (ask: Ask, signal: AbortSignal) => Promise<TestMachine>;
  readonly wake?: Wake;
}

/** A router over machines that are all ready. It counts places. */
export class TestRouter implements Router {
  readonly apps: TestApp[] = [];
  /** What it was asked for, oldest first. */
  readonly asks: Ask[] = [];
  /** Machines that were said to have refused. */
  readonly refused: string[] = [];
  /** Places that are held. */
  held = 0;
  /** Most releases of one place. */
  mostReleases = 0;
  /** Ends all places of a machine. */
  readonly gone = new Map<string, AbortController>();

  target(hostname: string, port: number): Target | undefined {
    const app = this.#find(port, ({ name, hostname: own }) =>
      [`${name}.localhost`, `${name}.apps.example`, own].includes(hostname),
    );
    return app && targetOf(app, port);
  }

  appTarget(name: string, port: number): Target | undefined {
    const app = this.#find(port, (each) => each.name === name);
    return app && targetOf(app, port);
  }

  portTarget(port: number): Target | undefined {
    const app = this.apps.find((each) => each.port === port && !hasNames(each));
    return app && targetOf(app, port);
  }

  portNames(port: number): PortNames | undefined {
    const named = this.apps.filter((each) => each.port === port && hasNames(each));
    const withTls = named.filter(({ service }) => service?.handlers?.includes("tls"));
    if (named.length === 0) return undefined;
    return { tls: withTls.length > 0, http: withTls.length < named.length };
  }

  async admit(target: Target, ask: Ask, signal: AbortSignal): Promise<Place> {
    this.asks.push({ ...ask, avoid: new Set(ask.avoid), exclude: new Set(ask.exclude) });
    const app = this.apps.find((each) => each.name === target.app);
    const machine = app?.admit ? await app.admit(ask, signal) : app && choose(app.machines, ask);
    if (!app || !machine) throw new ProxyError("NO_MACHINE", "no machine can take it");
    return this.#place(machine, app.wake);
  }

  #place({ id, port, region = "dev" }: TestMachine, wake: Wake | undefined): Place {
    this.held += 1;
    let releases = 0;
    const gone = this.gone.get(id) ?? new AbortController();
    this.gone.set(id, gone);
    return {
      ...{ machineId: id, instanceId: "v1", region, address: { host: "127.0.0.1", port }, wake },
      gone: gone.signal,
      refused: () => this.refused.push(id),
      release: () => {
        releases += 1;
        if (releases === 1) this.held -= 1;
        this.mostReleases = Math.max(this.mostReleases, releases);
      },
    };
  }

  #find(port: number, matches: (app: TestApp) => boolean): TestApp | undefined {
    return this.apps.find((each) => (each.port ?? 80) === port && matches(each));
  }
}

function hasNames({ service }: TestApp): boolean {
  const { handlers = ["http"] } = service ?? {};
  return handlers.includes("http") || handlers.includes("tls");
}

function choose(machines: readonly TestMachine[], ask: Ask): TestMachine | undefined {
  const { forceInstance, preferInstance, forceRegions, exclude, avoid } = ask;
  const allowed = machines.filter(
    ({ id, region = "dev" }) =>
      !exclude.has(id) &&
      (forceInstance === undefined || forceInstance === id) &&
      (forceRegions === undefined || forceRegions.includes(region)),
  );
  return (
    allowed.find(({ id }) => id === preferInstance) ?? allowed.find(({ id }) => !avoid.has(id)) ?? allowed[0]
  );
}

function targetOf({ name, org = "acme", service = {} }: TestApp, port: number): Target {
  const { handlers = ["http"], http = {}, tls = {}, ...rest } = service;
  return {
    ...{ app: name, org, port },
    service: {
      ...{ internalPort: 8080, forceHttps: false, proxyProto: "v1", wakeTimeoutMs: 60_000 },
      concurrency: { type: "requests", softLimit: 20, hardLimit: 0 },
      ...rest,
      handlers: new Set(handlers),
      http: {
        ...{ h2Backend: false, idleTimeoutMs: 60_000, headersReadTimeoutMs: 15_000 },
        ...{ responseHeaders: new Map(), pristineResponse: false },
        ...http,
      },
      tls: { alpn: ["h2", "http/1.1"], versions: ["TLSv1.2", "TLSv1.3"], defaultSelfSigned: false, ...tls },
    },
  };
}
