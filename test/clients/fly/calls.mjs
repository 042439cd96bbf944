/**
 * Calls the REST API with the client that is generated from Fly's OpenAPI document: it decodes every
 * answer strictly. Prints what became of each call, as JSON.
 *
 * Runs in a folder in which the package is installed, with APP, IMAGE, ORG, TOKEN and URL.
 */
import { Credentials } from "@distilled.cloud/fly-io";
import * as fly from "@distilled.cloud/fly-io/Operations";
import { Effect, Layer, Redacted } from "effect";
import * as FetchHttpClient from "effect/unstable/http/FetchHttpClient";

const { APP: app_name, IMAGE: image, ORG: org_slug, TOKEN, URL: url } = process.env;
const credentials = Layer.succeed(Credentials, { apiKey: Redacted.make(TOKEN), apiBaseUrl: `${url}/v1` });
const layer = Layer.mergeAll(FetchHttpClient.layer, credentials);
const outcomes = {};

/** Calls an operation by its name. */
async function call(name, input, as = name) {
  // biome-ignore lint/performance/noDynamicNamespaceImportAccess: nobody bundles this
  const exit = await Effect.runPromiseExit(fly[name](input).pipe(Effect.provide(layer)));
  outcomes[as] = exit._tag === "Success" ? "decoded" : String(exit.cause).slice(0, 500);
  return exit._tag === "Success" ? exit.value : undefined;
}

const config = {
  image,
  env: { A: "1" },
  guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
  services: [
    {
      protocol: "tcp",
      internal_port: 8080,
      ports: [{ port: 443, handlers: ["tls", "http"], http_options: { compress: true, idle_timeout: 60 } }],
      concurrency: { type: "requests", soft_limit: 20 },
      checks: [{ type: "tcp", port: 8080, interval: "15s", timeout: "2s" }],
    },
  ],
  checks: { alive: { type: "http", port: 8080, kind: "readiness", headers: [{ name: "a", values: ["b"] }] } },
  restart: { policy: "on-failure", max_retries: 3 },
  stop_config: { signal: "SIGTERM", timeout: "10s" },
  files: [{ guest_path: "/etc/a", raw_value: "aGk=", mode: 420 }],
  dns: { nameservers: ["10.0.2.3"], options: [{ name: "ndots", value: "2" }] },
  metadata: { role: "web" },
  metrics: { port: 9091, path: "/metrics" },
};

await call("AppsCreate", { name: app_name, org_slug });
await call("AppsList", { org_slug });
await call("AppsShow", { app_name });
const created = await call("MachinesCreate", { app_name, config, name: "generated" });
const machine = { app_name, machine_id: created?.id ?? "none" };
await call("MachinesWait", { ...machine, state: "started", timeout: 30 });
await call("MachinesShow", machine);
await call("MachinesList", { app_name });
await call("MachinesList", { app_name, summary: true, include_deleted: true }, "MachinesList summary");
await call("MachinesOrgList", { org_slug, limit: 5 });
await call("MachinesUpdate", { ...machine, config: { ...config, env: { A: "2" } } });
await call("MachinesListVersions", machine);
await call("MachinesListEvents", { ...machine, limit: 5 });
await call("MachinesExec", { ...machine, command: ["echo", "hello"], timeout: 10 });
await call("MachinesListProcesses", machine);
await call("MachinesUpsertMetadata", { ...machine, key: "a", value: "b" });
await call("MachinesShowMetadata", machine);
await call("MachinesGetMetadataKey", { ...machine, key: "a" });
await call("MachinesUpdateMetadata", { ...machine, metadata: { a: "c" } });
await call("MachinesDeleteMetadata", { ...machine, key: "a" });
await call("MachinesCordon", machine);
await call("MachinesUncordon", machine);
await call("MachinesSignal", { ...machine, signal: "SIGKILL" });
await call("MachinesRestart", { ...machine, timeout: "2s" });
await call("MachinesStop", { ...machine, signal: "SIGTERM", timeout: "2s" });
await call("MachinesShow", machine, "MachinesShow stopped");
await call("MachinesStart", machine);
await call("MachinesCreateLease", { ...machine, ttl: 60, description: "generated" });
const lease = await call("MachinesShowLease", machine);
if (!lease?.nonce) outcomes["MachinesShowLease"] = "has no nonce";
await call("CurrentTokenShow", {});
const other = await call("MachinesCreate", { app_name, config: { image } }, "MachinesCreate of another");
// It sends `force` in the body.
await call("MachinesDelete", { app_name, machine_id: other?.id ?? "none", force: true });
await call("PlatformRegionsGet", {});
await call("PlatformPlacementsPost", { org_slug, count: 1 });
await call("AppsDelete", { app_name: "no-such-app" }, "AppsDelete of none");
process.stdout.write(JSON.stringify(outcomes, null, 2));
