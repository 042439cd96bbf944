import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { makePrivateFolder } from "../../src/lib/stores/private-folder.ts";
import { UserError } from "../../tools/lib/errors.ts";
import { bootId, identify } from "../../tools/lib/processes.ts";
import { checkAttached, checkHosts } from "../services/health.ts";
import { ensureKeys, TelemetryToken, type Tokens } from "../services/keys.ts";
import { postgres } from "../services/postgres.ts";
import { redis } from "../services/redis.ts";
import { registry } from "../services/registry.ts";
import {
  api,
  DATABASE,
  hostd,
  imagecache,
  nameIn,
  proxy,
  type ServiceContext,
  scheduler,
  traces,
  webConsole,
} from "../services/services.ts";
import type { Layout } from "../settings/layout.ts";
import { takenPorts } from "../settings/ports.ts";
import { type FleetSettings, firstRegion, listenersOf } from "../settings/settings.ts";
import { type FleetLock, takeLock } from "../supervisor/lock.ts";
import { boundLog } from "../supervisor/log-file.ts";
import { Part } from "../supervisor/part.ts";
import { type FleetState, type Phase, writeState } from "../supervisor/state.ts";
import { endEverything, endOrphans, FLEET_MARK } from "../supervisor/sweep.ts";

const ATTACH_TIMEOUT_MS = 60_000;
const LOG_CHECK_MS = 30_000;
const TOKEN_CHECK_MS = 5_000;

/** Another supervisor runs the fleet of the folder. */
export class FleetBusyError extends Error {
  override readonly name = "FleetBusyError";
}

/**
 * A local fleet and its supervisor; at most one per folder. Emits `change` with every change of its
 * state, which is in `fleet.json` by then, and `swept` when it had to end processes that their
 * parents should have ended.
 */
export class Fleet extends EventEmitter<{ change: [FleetState]; swept: [pids: readonly number[]] }> {
  readonly layout: Layout;
  readonly settings: FleetSettings;
  #tokens: Tokens | undefined;
  readonly #telemetryToken: TelemetryToken;
  #lock: FleetLock | undefined;
  #phase: Phase = "stopped";
  #problem: string | undefined;
  #parts: readonly Part[] = [];
  #logCheck: NodeJS.Timeout | undefined;
  #tokenRenewal: NodeJS.Timeout | undefined;

  constructor(layout: Layout, settings: FleetSettings) {
    super();
    this.layout = layout;
    this.#telemetryToken = new TelemetryToken(layout);
    this.settings = settings;
  }

  /** The processes: `postgres`, `api`, `hostd-1`, ... Empty until {@link start}. */
  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** The development token. Empty until {@link start}. */
  get token(): string {
    return this.#tokens?.development ?? "";
  }

  /**
   * Starts everything; resolves when every host is attached. When it rejects, nothing runs.
   *
   * @throws FleetBusyError; UserError when a port is taken
   */
  async start(signal: AbortSignal): Promise<void> {
    this.#lock = await takeLock(this.layout.folder);
    if (this.#lock === undefined) throw new FleetBusyError(`${this.layout.folder} has a running fleet`);
    try {
      await this.#start(signal);
    } catch (cause) {
      this.#problem = cause instanceof Error ? cause.message : String(cause);
      await this.#end(signal.aborted ? "stopped" : "failed");
      throw cause;
    }
  }

  /** Stops everything, machines first. */
  async stop(): Promise<void> {
    if (this.#lock !== undefined) await this.#end("stopped");
  }

  /**
   * Waits until every host is attached to its region's schedulers, and known to every api.
   *
   * @throws Error after a minute; the reason of `signal`
   */
  async awaitHosts(signal: AbortSignal): Promise<void> {
    const { regions, hosts } = this.settings;
    const { internal = "", development = "" } = this.#tokens ?? {};
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(ATTACH_TIMEOUT_MS)]);
    let last: unknown;
    while (!deadline.aborted) {
      try {
        for (const { region, api: address, schedulers } of regions) {
          const count = hosts.filter((host) => host.region === region).length;
          for (const each of schedulers) await checkAttached(each.address, internal, count, deadline);
          await checkHosts(address, development, hosts.length, deadline);
        }
        return;
      } catch (cause) {
        last = cause;
        await delay(100, undefined, { signal: deadline }).catch(() => undefined);
      }
    }
    signal.throwIfAborted();
    throw new Error(`not all hosts attached in time: ${last instanceof Error ? last.message : last}`, {
      cause: last,
    });
  }

  async #start(signal: AbortSignal): Promise<void> {
    this.#become("starting");
    await endOrphans(this.layout);
    const taken = await takenPorts(listenersOf(this.settings));
    if (taken.length > 0) throw new UserError(taken.join("\n"));
    this.#tokens = await ensureKeys(this.layout);
    await this.#telemetryToken.renew();
    const own = this.settings.regions.flatMap((region) =>
      ["api", "proxy"].map((part) => nameIn(this.settings, part, region)),
    );
    for (const folder of ["hosts", "traces", "console", ...own]) makePrivateFolder(this.layout.of(folder));
    this.#tokenRenewal = setInterval(() => void this.#renewTokens(), TOKEN_CHECK_MS).unref();
    const { waves, late } = this.#makeParts();
    this.#parts = [...waves.flat(), ...late];
    for (const part of this.#parts) part.on("change", () => this.#publish());
    this.#logCheck = setInterval(() => this.#boundLogs(), LOG_CHECK_MS).unref();
    for (const wave of waves) await startAll(wave, signal);
    await this.awaitHosts(signal);
    this.#become("ready");
    // The state says whether it came up.
    void Promise.allSettled(late.map((part) => part.start()));
  }

  /** Stores first; the services wait for each other by themselves. Nobody waits for what is late. */
  #makeParts(): { readonly waves: readonly (readonly Part[])[]; readonly late: readonly Part[] } {
    const { layout, settings } = this;
    const context: ServiceContext = { layout, settings };
    const stores = [
      postgres({
        folder: layout.of("postgres"),
        logFile: layout.log("postgres"),
        database: DATABASE,
        isDurable: true,
      }),
      ...settings.regions
        .map((region) => nameIn(settings, "redis", region))
        .map((name) => redis({ name, folder: layout.of(name), logFile: layout.log(name) })),
      registry({
        folder: layout.of("registry"),
        logFile: layout.log("registry"),
        address: settings.registry,
      }),
      traces(context),
    ];
    const services = [
      ...settings.regions.map((region) => api(context, region)),
      ...settings.regions.flatMap((region) =>
        region.schedulers.map((_, replica) => scheduler(context, region, replica)),
      ),
      ...settings.hosts.map((host) => imagecache(context, host)),
      ...settings.hosts.map((host) => hostd(context, host)),
      ...settings.regions.map((region) => proxy(context, region)),
    ];
    const late = settings.console === undefined ? [] : [webConsole(context, settings.console)];
    const mark = { [FLEET_MARK]: layout.folder };
    const [first = [], second = [], last = []] = [stores, services, late].map((wave) =>
      wave.map((spec) => new Part({ ...spec, environment: { ...spec.environment, ...mark } })),
    );
    return { waves: [first, second], late: last };
  }

  async #end(last: Phase): Promise<void> {
    clearInterval(this.#logCheck);
    clearInterval(this.#tokenRenewal);
    if (this.#parts.length > 0) this.#become("stopping");
    // Hosts first, so that machines are stopped; the trace receiver and the stores last.
    const rank = (part: Part) => (part.name.startsWith("hostd") ? 0 : STORES.test(part.name) ? 2 : 1);
    for (const wave of [0, 1, 2]) {
      await Promise.all(this.#parts.filter((part) => rank(part) === wave).map((part) => part.stop()));
    }
    // Without parts it has not started, and machines of an earlier fleet may still run.
    if (this.#parts.length > 0) {
      const swept = await endEverything(this.layout);
      if (swept.length > 0) this.emit("swept", swept);
    }
    this.#become(last);
    await this.#lock?.release();
    this.#lock = undefined;
  }

  async #renewTokens(): Promise<void> {
    try {
      await this.#telemetryToken.renew();
    } catch {
      // The disk may be full; the next round tries again before the old token ends.
    }
  }

  #boundLogs(): void {
    for (const part of this.#parts) boundLog(part.spec.logFile);
    boundLog(this.layout.supervisorLog);
  }

  #become(phase: Phase): void {
    this.#phase = phase;
    this.#publish();
  }

  #publish(): void {
    const { regions, registry, traces, console, hosts } = this.settings;
    const { api, rest, apiMetrics, proxy } = firstRegion(this.settings);
    const state: FleetState = {
      phase: this.#phase,
      ...(this.#phase === "failed" && this.#problem !== undefined ? { problem: this.#problem } : {}),
      bootId: bootId(),
      supervisor: identify(process.pid) ?? { pid: process.pid, startTicks: 0 },
      regions,
      addresses: { api, rest, apiMetrics, proxy, registry, traces, ...(console ? { console } : {}) },
      hosts,
      parts: this.#parts.map((part) => ({
        name: part.name,
        state: part.state,
        ...(part.process ? { process: part.process } : {}),
        restarts: part.restarts,
      })),
    };
    writeState(this.layout.stateFile, state);
    this.emit("change", state);
  }
}

const STORES = /^(postgres|redis|registry|traces)\b/;

/** Starts parts at once. When one fails, the others stop waiting; the caller stops them all. */
async function startAll(parts: readonly Part[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const failed = new AbortController();
  const starts = parts.map((part) => part.start(AbortSignal.any([signal, failed.signal])));
  try {
    await Promise.all(starts);
  } catch (cause) {
    failed.abort(cause);
    await Promise.allSettled(starts);
    throw cause;
  }
}
