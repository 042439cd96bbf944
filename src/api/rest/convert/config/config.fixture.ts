import { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../lib/faults/fault.ts";
import { configFromJson, configToJson } from "./convert-config.ts";

/** Sends a configuration over the wire, as a route does, and reads it again. */
export function roundTrip(json: unknown): unknown {
  const sent = MachineConfig.encode(configFromJson(json)).finish();
  return JSON.parse(JSON.stringify(configToJson(MachineConfig.decode(sent))));
}

/** Returns the fault of a configuration that is refused. */
export function faultOf(json: unknown): Fault {
  try {
    configFromJson(json);
  } catch (err) {
    if (err instanceof Fault) return err;
    throw err;
  }
  throw new Error("the configuration was taken");
}

/** A configuration with members of every kind. */
export const FULL = {
  image: "registry.fly.io/app:v1",
  guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512, kernel_args: ["quiet"] },
  env: { A: "1", EMPTY: "" },
  init: { cmd: ["sleep", "inf"], tty: true, swap_size_mb: 512 },
  services: [
    {
      protocol: "tcp",
      internal_port: 8080,
      ports: [
        {
          ...{ port: 443, handlers: ["tls", "http"] },
          http_options: { compress: true, response: { headers: { via: false, "x-a": ["b"], "x-b": null } } },
        },
      ],
      autostop: "suspend",
      autostart: true,
      min_machines_running: 0,
      concurrency: { type: "requests", soft_limit: 10, hard_limit: 20 },
      checks: [{ type: "tcp", port: 8080, interval: "15s", timeout: "90s" }],
      x_service: [1, null, { deep: "kept" }],
    },
    { protocol: "udp", internal_port: 53 },
  ],
  checks: { alive: { type: "http", port: 8080, path: "/", interval: "1m30s", kind: "readiness" } },
  restart: { policy: "always", max_retries: 3, gpu_bid_price: 0.5 },
  auto_destroy: true,
  schedule: "daily",
  stop_config: { signal: "SIGTERM", timeout: "90s" },
  files: [{ guest_path: "/etc/a", raw_value: "aGk=", mode: 384, x_file: "kept" }],
  metadata: { fly_process_group: "web" },
  dns: {
    nameservers: ["1.1.1.1"],
    options: [{ name: "ndots", value: "2" }, { name: "rotate" }],
    skip_registration: true,
  },
  metrics: { port: 9091, path: "/metrics" },
  statics: [{ guest_path: "/public", url_prefix: "/" }],
  standbys: [],
  rootfs: { persist: "always" },
  auto_unknown: { a: [{ b: null }], constructor: "kept", toString: 1 },
};
