import type { Layout } from "../settings/layout.ts";
import { splitAddress } from "../settings/ports.ts";
import type { FleetState } from "../supervisor/state.ts";

export function describeStart(state: FleetState): string {
  // The console is started when all others are ready.
  const parts = state.parts.filter(({ name }) => name !== "console");
  const waiting = parts.filter((part) => part.state !== "ready").map((part) => part.name);
  const ready = parts.length - waiting.length;
  if (parts.length === 0) return "looking for what an earlier one left";
  if (waiting.length === 0) return "hosts attach";
  const names = waiting.length > 4 ? `${waiting.slice(0, 4).join(", ")}, ...` : waiting.join(", ");
  return `${ready} of ${parts.length} ready, waiting for ${names}`;
}

export function describeAddresses(state: FleetState, layout: Layout): string {
  const { api, rest, proxy, registry, traces, console, apiMetrics } = state.addresses;
  const rows = [
    ["gRPC API", api],
    ["REST API", `http://${rest}/v1, described at /v1/docs`],
    ["Apps", `http://APP.localhost:${splitAddress(proxy).port}`],
    ["Registry", registry],
    ...(console === undefined ? [] : [["Console", `http://${console}, by the link of hover console`]]),
    ["Traces", `http://${traces} (OTLP/HTTP)`],
    ["Metrics", `http://${apiMetrics}/metrics, and a port for every service (docs/metrics.md)`],
    ...state.regions.map(({ region, api: address, proxy: proxyOf }) => [
      state.regions.length > 1 ? region : "Hosts",
      describeRegion(
        state.hosts.filter((host) => host.region === region).map((host) => host.name),
        region,
        state.regions.length > 1 ? address : undefined,
        proxyOf,
      ),
    ]),
    ["Token", layout.tokenFile],
    ["Logs", `${layout.folder}/logs`],
  ] satisfies string[][];
  return rows.map(([name = "", value]) => `  ${name.padEnd(9)} ${value}`).join("\n");
}

function describeRegion(
  hosts: readonly string[],
  region: string,
  api: string | undefined,
  proxy: string,
): string {
  if (api === undefined) return `${hosts.join(", ")} in region ${region}`;
  return `hosts ${hosts.join(", ")}; its own API is at ${api}, its proxy at ${proxy}`;
}
