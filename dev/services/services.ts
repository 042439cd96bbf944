import { join } from "node:path";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import { plainEnvironment, settingsOf } from "../settings/environment.ts";
import type { HostSettings } from "../settings/hosts.ts";
import type { Layout } from "../settings/layout.ts";
import { partName, type RegionSettings } from "../settings/regions.ts";
import type { FleetSettings } from "../settings/settings.ts";
import type { PartSpec } from "../supervisor/part.ts";
import { checkHealth } from "./health.ts";
import { postgresUrl } from "./postgres.ts";
import { redisSocket } from "./redis.ts";

export const DATABASE = "windhover";

/** What the services of a fleet are configured from. */
export interface ServiceContext {
  readonly layout: Layout;
  readonly settings: FleetSettings;
}

/**
 * Flags of Node for an api. Its young generation grows to 128 MB otherwise, and with 2,000 watches
 * and 200 commands that wait an api has more than 400 MB.
 */
const API_FLAGS = ["--max-semi-space-size=16"];

/** The API of a region. It knows the schedulers of all regions. */
export function api(context: ServiceContext, region: RegionSettings): PartSpec {
  const { layout, settings } = context;
  const name = nameIn(settings, "api", region);
  const { routes } = settings;
  const schedulers = settings.regions.flatMap((each) =>
    each.schedulers.map(
      ({ address }) => `${each.region}=${routes?.scheduler(region.region, each.region, address) ?? address}`,
    ),
  );
  const postgres = layout.of("postgres");
  const part = service(context, name, "api", region.api, {
    API_LISTEN: region.api,
    API_REST_LISTEN: region.rest,
    API_METRICS_LISTEN: region.apiMetrics,
    API_REGION: region.region,
    API_SCHEDULERS: schedulers.join(","),
    API_STATE_DIR: layout.of(name),
    API_PROXY_DOMAINS: settings.appDomains,
    API_SEALING_KEY_DIR: layout.sealingKeysDir,
    ...registries(settings),
    DATABASE_URL: postgresUrl(routes?.postgres(region.region, postgres) ?? postgres, DATABASE),
  });
  const [node, ...rest] = part.command;
  return { ...part, command: [node, ...API_FLAGS, ...rest] };
}

/**
 * Flags of Node for a scheduler. Auctions make much short-lived garbage, for which Node lets its
 * young generation grow to 128 MB. With these bounds 5,000 attached hosts take 420 MB under load;
 * half the young generation would cost a tenth of the awards.
 */
export const SCHEDULER_FLAGS = ["--max-semi-space-size=32", "--max-old-space-size=1024"];

export function scheduler(context: ServiceContext, region: RegionSettings, replica: number): PartSpec {
  const { layout, settings } = context;
  const name = nameIn(settings, "scheduler", region, replica);
  const { address, metrics } = region.schedulers[replica] ?? { address: "", metrics: "" };
  const part = service(context, name, "scheduler", address, {
    SCHEDULER_LISTEN: address,
    SCHEDULER_METRICS_LISTEN: metrics,
    SCHEDULER_REGION: region.region,
    SCHEDULER_AUDIT_DIR: join(layout.of(name), "audit"),
    REDIS_URL: redisSocket(layout.of(nameIn(settings, "redis", region))),
  });
  const [node, ...rest] = part.command;
  return { ...part, command: [node, ...SCHEDULER_FLAGS, ...rest] };
}

/** The proxy of a region. It learns routes from the apis of all regions, its own first. */
export function proxy(context: ServiceContext, region: RegionSettings): PartSpec {
  const { layout, settings } = context;
  const name = nameIn(settings, "proxy", region);
  const elsewhere = settings.regions.filter((each) => each !== region);
  return {
    ...service(context, name, "proxy", region.proxy, {
      PROXY_LISTEN: region.proxy,
      PROXY_TLS_LISTEN: region.proxyTls,
      PROXY_METRICS_LISTEN: region.proxyMetrics,
      PROXY_ID: name,
      PROXY_REGION: region.region,
      PROXY_APIS: [region, ...elsewhere].map((each) => each.api).join(","),
      PROXY_STATE_DIR: layout.of(name),
      PROXY_DOMAINS: settings.appDomains,
    }),
    async ready(signal) {
      const answer = await fetch(`http://${region.proxyMetrics}/healthz`, { signal });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error("it has no routes yet");
    },
  };
}

/** Names a part of a region, in logs, in `fleet.json`, and as a folder. */
export function nameIn(settings: FleetSettings, part: string, region: RegionSettings, replica = 0): string {
  return partName(part, region === settings.regions[0] ? undefined : region.region, replica);
}

export function traces(context: ServiceContext): PartSpec {
  const { layout, settings } = context;
  const fixed = {
    TRACES_LISTEN: settings.traces,
    TRACES_GRPC_LISTEN: settings.tracesGrpc,
    TRACES_DIR: layout.of("traces"),
    OTEL_EXPORTER_OTLP_ENDPOINT: "",
  };
  return {
    ...service(context, "traces", "traces", settings.traces, fixed),
    // Any answer is enough, also 401.
    async ready(signal) {
      const answer = await fetch(`http://${settings.traces}/`, { signal });
      await answer.body?.cancel();
    },
  };
}

/** The web console. It reads the folder of the receiver, which may come later. */
export function webConsole(context: ServiceContext, address: string): PartSpec {
  const { layout } = context;
  return {
    ...service(context, "console", "console", address, {
      CONSOLE_LISTEN: address,
      CONSOLE_TRACES_DIR: layout.of("traces"),
      CONSOLE_AUDIT_DIR: join(layout.of("console"), "audit"),
      OTEL_EXPORTER_OTLP_ENDPOINT: "",
    }),
    async ready(signal) {
      const answer = await fetch(`http://${address}/healthz`, { signal });
      await answer.body?.cancel();
    },
  };
}

/** The local registry is on loopback: it is allowed by its names, with what the caller allows. */
function registries({ registry, overrides }: FleetSettings): Record<string, string> {
  const localhost = registry.replace(/^127\.0\.0\.1(?=:)/, "localhost");
  const allowed = [...new Set([registry, localhost]), overrides["REGISTRY_ALLOW_PRIVATE"] ?? ""];
  // A local fleet is one person's.
  const defaults = { REGISTRY_AUTH_ALLOW: "*=*" };
  const given = settingsOf("REGISTRY_", overrides);
  return { ...defaults, ...given, REGISTRY_ALLOW_PRIVATE: allowed.filter(Boolean).join(",") };
}

/** Flags of Node for an image cache: 300,000 files take 230 MiB instead of 330. */
export const IMAGECACHE_FLAGS = ["--max-semi-space-size=4"];

export function imagecache(context: ServiceContext, host: HostSettings): PartSpec {
  const { layout, settings } = context;
  const defaults = { IMAGECACHE_BUDGET_MB: String(settings.imageBudgetMb) };
  const part = service(
    context,
    `imagecache-${host.number}`,
    "imagecache",
    host.imagecache,
    {
      IMAGECACHE_LISTEN: host.imagecache,
      IMAGECACHE_METRICS_LISTEN: host.imagecacheMetrics,
      IMAGECACHE_DIR: layout.ofHost(host.number, "imagecache"),
      ...registries(settings),
      IMAGECACHE_AUDIT_DIR: layout.ofHost(host.number, "imagecache-audit"),
    },
    defaults,
  );
  const [node, ...rest] = part.command;
  return { ...part, command: [node, ...IMAGECACHE_FLAGS, ...rest] };
}

export function hostd(context: ServiceContext, host: HostSettings): PartSpec {
  const { layout, settings } = context;
  const here = settings.regions.filter((each) => each.region === host.region);
  const elsewhere = settings.regions.filter((each) => each.region !== host.region);
  const fixed = {
    HOSTD_LISTEN: host.hostd,
    ...(settings.routes ? { HOSTD_ADDRESS: settings.routes.host(host) } : {}),
    HOSTD_METRICS_LISTEN: host.hostdMetrics,
    HOSTD_NUMBER: String(host.number),
    HOSTD_NAME: host.name,
    HOSTD_REGION: host.region,
    HOSTD_ZONE: host.zone,
    HOSTD_DIR: layout.ofHost(host.number, "hostd"),
    HOSTD_SCHEDULERS: here.flatMap((each) => each.schedulers.map(({ address }) => address)).join(","),
    // hostd stays with the first as long as it answers.
    HOSTD_APIS: [...here, ...elsewhere].map((each) => each.api).join(","),
    HOSTD_APIS_REST: [...here, ...elsewhere].map((each) => each.rest).join(","),
    HOSTD_IMAGECACHE: host.imagecache,
    HOSTD_GUEST_DIR: settings.guestFolder,
    HOSTD_PORT_RANGE: host.machinePorts,
  };
  const defaults = {
    HOSTD_VMM: "auto",
    HOSTD_CPUS: String(settings.capacity.cpus),
    HOSTD_MEMORY_MB: String(settings.capacity.memoryMb),
    HOSTD_DISK_MB: String(settings.capacity.diskMb),
    // The whole host shuts down; in production a hostd that ends is being replaced.
    HOSTD_STOP_VMS_ON_EXIT: "true",
  };
  return {
    ...service(context, `hostd-${host.number}`, "hostd", host.hostd, fixed, defaults),
    // Machines get their grace first.
    stopGraceMs: 30_000,
    orphanSignal: settings.keepsMachines ? "SIGKILL" : "SIGTERM",
    // It boots a guest once to find out whether KVM works.
    readyTimeoutMs: 120_000,
  };
}

function service(
  context: ServiceContext,
  name: string,
  folder: string,
  address: string,
  fixed: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, string>> = {},
): PartSpec {
  const { layout, settings } = context;
  return {
    name,
    command: [
      tool("node"),
      ...["--import", join(ROOT, "otel/register.ts")],
      ...(settings.preload === undefined ? [] : ["--import", settings.preload]),
      join(ROOT, "src", folder, "main.ts"),
    ],
    environment: {
      ...plainEnvironment(),
      ...defaults,
      ...settingsOf(`${folder.toUpperCase()}_`, settings.overrides),
      ...settingsOf("LOG_LEVEL", settings.overrides),
      ...settingsOf("GRPC_", settings.overrides),
      ...settingsOf("OTEL_", settings.overrides),
      TOKEN_KEYS_DIR: layout.keysDir,
      // Services without a list of their own read that of the first api.
      TOKEN_REVOCATIONS_FILE: join(layout.of("api"), "revocations.json"),
      OTEL_SERVICE_NAME: folder,
      OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${name}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${settings.traces}`,
      OTEL_EXPORTER_OTLP_TOKEN_FILE: layout.telemetryTokenFile,
      ...fixed,
    },
    workingDirectory: ROOT,
    logFile: layout.log(name),
    stopSignal: "SIGTERM",
    stopGraceMs: 20_000,
    orphanSignal: "SIGKILL",
    readyTimeoutMs: 60_000,
    ready: (signal) => checkHealth(address, signal),
  };
}
