import { spawn } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PortConfig, ServiceConfig } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { program } from "../../../tools/lib/programs.ts";
import { configOf } from "../../support/clients.ts";
import { Programs } from "../programs.ts";
import { openWorld, type World } from "../world.ts";
import { codeBlocks, type Documented, documentedMetrics } from "./metrics-page.ts";
import { type Prometheus, type Sample, startPrometheus } from "./prometheus-server.ts";

const SERVICES = ["api", "scheduler", "hostd", "imagecache", "proxy"] as const;
type Service = (typeof SERVICES)[number];

const HOST_MEMORY_MB = 1_024;
const WEB = PortConfig.fromPartial({ port: 80, handlers: ["http"] });

/** What neither happens when all is well nor without real VMs: Prometheus knows of them and has no value yet. */
const WITHOUT_VALUES = [
  "windhover_pool_hits_total",
  "windhover_pool_misses_total",
  "windhover_pool_size",
  "windhover_saga_steps_retried_total",
  "windhover_saga_steps_stuck_total",
  "windhover_template_age_seconds",
];
/** Labels that Prometheus puts on everything, and those of histograms. */
const NOT_OURS = new Set(["__name__", "job", "instance", "le"]);
const UP = ["api", "hostd", "hostd", "imagecache", "imagecache", "proxy", "scheduler"].map((job) => [
  job,
  "up",
]);
const SCRAPED = { timeout: 60_000, interval: 200 };

describe("Debian's Prometheus, set up as the documentation says", () => {
  let world: World;
  let prometheus: Prometheus;
  let programs: Programs;

  beforeAll(async () => {
    world = await openWorld(2, { HOSTD_MEMORY_MB: String(HOST_MEMORY_MB) });
    programs = await Programs.run(world.fleet);
    prometheus = await startPrometheus(configuration());
    await live();
    // All of it has been read when the last of it has.
    await vi.waitFor(async () => {
      expect(await values('sum(windhover_stop_duration_seconds_count{outcome="ok"})')).toEqual([3]);
      expect(await values('windhover_create_duration_seconds_count{outcome="refused"}')).toEqual([1]);
      expect(await targets()).toEqual(UP);
    }, SCRAPED);
  });
  afterAll(async () => {
    await prometheus?.close();
    await programs?.close();
    await world?.close();
  });

  const values = async (expression: string) =>
    (await prometheus.query(expression)).map((each) => Number(each.value[1]));

  const targets = async () =>
    (await prometheus.targets()).map(({ labels, health }) => [labels["job"], health]);

  it("finds every service up", () => expect.poll(targets, SCRAPED).toEqual(UP));

  it("reads what has happened", async () => {
    const value = (expression: string) => expect.poll(() => values(expression), SCRAPED);

    await value('sum(windhover_start_duration_seconds_count{start_path="cold", outcome="ok"})').toEqual([3]);
    await value('windhover_proxy_wakes_total{path="cold", outcome="ok"}').toEqual([1]);
    await value('sum(windhover_api_start_duration_seconds_count{outcome="ok"})').toEqual([1]);
    await value('sum(windhover_create_duration_seconds_count{outcome="ok"})').toEqual([1]);
    await value('windhover_create_duration_seconds_count{outcome="refused"}').toEqual([1]);
    await value('sum(windhover_stop_duration_seconds_count{outcome="ok"})').toEqual([3]);
    await value('sum(windhover_refusals_total{operation="bid", reason="no_memory"})').toEqual([2]);
    await value('windhover_auction_declines_total{reason="no_memory"}').toEqual([2]);
    await value('sum(windhover_image_requests_total{result="miss"})').toEqual([1]);
    await value("sum(windhover_images)").toEqual([1]);
    await value("count(windhover_image_cache_bytes > 0 < windhover_image_cache_budget_bytes)").toEqual([1]);
    await value("sum(windhover_outbox_lag_events)").toEqual([0]);
    await value("windhover_hosts_attached").toEqual([2]);
    await value('sum(windhover_machines{state="stopped"})').toEqual([1]);
    await value('windhover_ledger_capacity{resource="memory_bytes"} / 2^20').toEqual([
      HOST_MEMORY_MB,
      HOST_MEMORY_MB,
    ]);
  });

  it.each(SERVICES)(
    "knows the metrics of %s by name, type and meaning as they are documented",
    async (service) => {
      const exposed = await exposedBy(service);
      const documented = documentedFor(service).map(({ name, type, meaning }) => ({ name, type, meaning }));

      expect(exposed).toEqual(documented.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    },
  );

  it("has values for all of them, with the documented labels", async () => {
    const labelsOf = (samples: readonly Sample[], { name, type }: Documented): string[] | undefined => {
      const series = samples.filter(({ metric }) => metric["__name__"] === seriesName(name, type));
      const labels = series
        .flatMap(({ metric }) => Object.keys(metric))
        .filter((label) => !NOT_OURS.has(label));
      return series.length === 0 ? undefined : [...new Set(labels)].sort();
    };
    const ours = documentedMetrics().filter(({ name }) => name.startsWith("windhover_"));
    const found = async () => {
      const samples = await prometheus.query('{__name__=~"windhover_.+"}');
      return ours.map((each) => [each.name, labelsOf(samples, each)]);
    };

    // A target that has once been too slow to answer has no values until it is asked again.
    await expect
      .poll(found, SCRAPED)
      .toEqual(
        ours.map(({ name, labels }) => [name, WITHOUT_VALUES.includes(name) ? undefined : labels.toSorted()]),
      );
  });

  it("finds base units in the names, as documented", () => {
    for (const { name, unit } of documentedMetrics()) {
      expect([name, /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? ""]).toEqual([name, unit]);
    }
  });

  it.each(SERVICES)("has nothing to say against the metrics of %s", async (service) => {
    for (const address of addressesOf(service)) {
      const answer = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(20_000) });

      expect(await promtool(await answer.text())).toEqual({ code: 0, output: "" });
    }
  });

  it.each(codeBlocks("promql"))("understands question %# of the documentation", async (expression) => {
    await expect(prometheus.query(expression)).resolves.toBeInstanceOf(Array);
  });

  /** A create with its start, a stop, a start, a request that starts it, stops; and a create that no host has room for. */
  async function live(): Promise<void> {
    const { clients, app, image } = world;
    const services = [{ ...ServiceConfig.create(), internalPort: 8080, ports: [WEB], autostart: true }];
    const { id } = await clients.create({ app, config: configOf(image, { services }) });
    await clients.stop(id);
    await clients.start(id);
    // The proxy learns of it a moment later.
    await vi.waitFor(async () => expect(await askProxy(`${app}.localhost`)).toBe(200), SCRAPED);
    await clients.stop(id);
    expect(await askProxy(`${app}.localhost`)).toBe(200);
    await clients.stop(id);
    const guest = { cpuKind: "shared", cpus: 1, memoryMb: 2 * HOST_MEMORY_MB };
    const refused = clients.create({ app, config: configOf(image, { guest }) });
    await expect(refused).rejects.toMatchObject({ reason: "NO_CAPACITY" });
    expect(await askProxy("nobody.localhost")).toBe(404);
  }

  async function askProxy(host: string): Promise<number | undefined> {
    const { PROXY_LISTEN = "" } = world.fleet.part("proxy").spec.environment;
    const [answer] = await once(
      get(`http://${PROXY_LISTEN}/`, { headers: { host }, agent: false }),
      "response",
    );
    answer.resume();
    return answer.statusCode;
  }

  /** The documented configuration with this fleet's addresses, and in a hurry. */
  function configuration(): string {
    const local: Record<string, string> = {
      "127.0.0.1:9100": addressesOf("api")[0] ?? "",
      "127.0.0.1:9101": addressesOf("scheduler")[0] ?? "",
      "127.0.0.1:9110": addressesOf("hostd")[0] ?? "",
      "127.0.0.1:9111": addressesOf("imagecache")[0] ?? "",
      "127.0.0.1:9112": addressesOf("hostd")[1] ?? "",
      "127.0.0.1:9113": addressesOf("imagecache")[1] ?? "",
      "127.0.0.1:9109": addressesOf("proxy")[0] ?? "",
    };
    const [documented = ""] = codeBlocks("yaml");
    return documented
      .replace(/127\.0\.0\.1:\d+/g, (address) => local[address] ?? address)
      .replace("scrape_interval: 15s", "scrape_interval: 500ms");
  }

  function addressesOf(service: Service): string[] {
    const variable = `${service.toUpperCase()}_METRICS_LISTEN`;
    const parts = ["api", "scheduler", "proxy"].includes(service)
      ? [service]
      : [1, 2].map((n) => `${service}-${n}`);
    return parts.map((part) => world.fleet.part(part).spec.environment[variable] ?? "");
  }

  /** What Prometheus has read from a service's targets, leaving out what every Node process tells. */
  async function exposedBy(service: Service) {
    const metadata = await prometheus.metadata(service);
    const ours = metadata.filter(({ metric }) => /^(windhover|rpc|http_server)_/.test(metric));
    const byName = new Map(
      ours.map(({ metric, type, help }) => [metric, { name: metric, type, meaning: help }]),
    );
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
});

/** A proxy serves no calls, so that nobody is to be kept out of them or noted in the audit log. */
const OF_SERVERS = /^(?:rpc_server_connections|windhover_audit)_/;

function documentedFor(service: Service): readonly Documented[] {
  return documentedMetrics().filter(
    (each) =>
      each.service === service ||
      (each.service === "every service" && !(service === "proxy" && OF_SERVERS.test(each.name))),
  );
}

function seriesName(name: string, type: string): string {
  return type === "histogram" ? `${name}_count` : name;
}

async function promtool(metrics: string): Promise<{ code: number; output: string }> {
  const child = spawn(program("promtool"), ["check", "metrics"], { timeout: 60_000 });
  child.stdin.end(metrics);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code, output: `${stdout}${stderr}` };
}
