import { integer, parsed, text, type Variables } from "../../src/lib/config/config.ts";
import { splitAddress } from "./ports.ts";

const address = (usual: string) => parsed(tcpAddress).meta({ kind: "host:port" }).prefault(usual);
const port = (usual: number) => integer(1, 65_535).prefault(usual);

/** The addresses of the local fleet. */
export const addressVariables = {
  API_LISTEN: address("127.0.0.1:7070").describe(
    "The first region's api. Each further region's ports are 200 higher: `7270`, ...",
  ),
  API_REST_LISTEN: address("127.0.0.1:7080").describe("Its REST API."),
  API_METRICS_LISTEN: address("127.0.0.1:9100").describe("Its metrics."),
  SCHEDULER_LISTEN: parsed(tcpAddress)
    .optional()
    .meta({ kind: "host:port", defaultText: "a unix socket" })
    .describe(
      "The first region's scheduler. Its further replicas are at the ports after it. Unset: unix sockets, which guests do not reach.",
    ),
  SCHEDULER_METRICS_LISTEN: address("127.0.0.1:9101").describe("Its metrics."),
  PROXY_LISTEN: address("127.0.0.1:8080").describe(
    "The first region's proxy, without TLS. Each further region's is at the next port.",
  ),
  PROXY_TLS_LISTEN: address("127.0.0.1:8443").describe(
    "The same with TLS, when `PROXY_CERTIFICATES` is set.",
  ),
  PROXY_METRICS_LISTEN: address("127.0.0.1:9109").describe("Its metrics."),
  REGISTRY_LISTEN: address("127.0.0.1:5000").describe("The local registry."),
  TRACES_LISTEN: address("127.0.0.1:4318").describe("The trace receiver."),
  TRACES_GRPC_LISTEN: address("127.0.0.1:4317").describe("The same by OTLP/gRPC."),
  CONSOLE_LISTEN: address("127.0.0.1:7090").describe("The web console."),
  HOSTS_FIRST_PORT: integer(1, 65_535)
    .optional()
    .meta({ defaultText: "unix sockets" })
    .describe("hostd of all hosts listens from here on, two ports a host. Unset: on unix sockets."),
  HOSTS_FIRST_METRICS_PORT: port(9_110).describe("Their metrics, two ports a host."),
  MACHINES_FIRST_PORT: port(20_000).describe("First host port for the machines' services."),
} satisfies Variables;

/** Read by everything that `npm run` does. */
export const variables = {
  WINDHOVER_DIR: text()
    .optional()
    .meta({ kind: "folder", defaultText: ".windhover in the project" })
    .describe("Where the local fleet and the tools keep everything."),
  WINDHOVER_GUEST_DIR: text()
    .optional()
    .meta({ kind: "folder", defaultText: "guest in WINDHOVER_DIR" })
    .describe("Folder of the guest's kernel, init and scratch disk."),
  ...addressVariables,
} satisfies Variables;

function tcpAddress(raw: string): string {
  const { host, port: number } = splitAddress(raw);
  if (host === "" || !(Number.isInteger(number) && number > 0 && number < 65_536))
    throw new Error(`must be HOST:PORT, e.g. 127.0.0.1:7070, not "${raw}"`);
  return raw;
}
