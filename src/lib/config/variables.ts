import { LEVELS } from "../runtime/log.ts";
import { address, duration, list, oneOf, parsed, text } from "./config.ts";
import { proxy } from "./proxies.ts";

/** Where the image cache of a host listens by default: only its hostd calls it. */
export const IMAGECACHE_SOCKET = "unix:/run/windhover/imagecache.sock";

/** Schemas of variables that several services have under names of their own. */
export const common = {
  listen: (at: string) => address().prefault(at).describe("Where to serve gRPC."),
  metricsListen: () => address().optional().describe("Where to serve Prometheus metrics. Unset: nowhere."),
  grace: (time: string) =>
    duration("0s", "10m").prefault(time).describe("How long calls may take to finish at shutdown."),
  logLevel: () =>
    oneOf(LEVELS)
      .optional()
      .meta({ defaultText: "LOG_LEVEL" })
      .describe("Lines below this level are dropped."),
  auditDir: (fallback: string) =>
    text()
      .optional()
      .meta({ defaultText: fallback })
      .describe("Folder of the audit log. `hover audit` reads that of the api."),
} as const;

/** Of every service. */
export const LOG_LEVEL = oneOf(LEVELS)
  .prefault("info")
  .describe("Lines below this level are dropped, in services without a level of their own.");
export const TOKEN_KEYS_DIR = text().describe(
  "Folder of Ed25519 keys in PEM: `ID.public.pem` verify tokens; `ID.private.pem` of the largest id signs, in api and hostd. Changes count within two seconds.",
);
export const TOKEN_REVOCATIONS_FILE = text()
  .optional()
  .describe("The list of revocations that the api or hostd of this host writes. Unset: nothing is revoked.");
export const REGISTRY_INSECURE = list(text())
  .prefault("")
  .describe("Registries besides those on loopback that speak plain HTTP, as `host` or `host:port`.");
export const REGISTRY_ALLOW_PRIVATE = list(parsed(parseHost).meta({ kind: "host or host:port" }))
  .prefault("")
  .describe(
    "Hosts of registries, of their token servers and of what they redirect to that may be at private, loopback or other addresses that are not public, by name.",
  );
export const HTTPS_PROXY = proxy().describe(
  "Proxy to registries that speak HTTPS; `https_proxy` comes first. It looks names up by itself, so it must refuse private addresses: `REGISTRY_ALLOW_PRIVATE` cannot be checked then, except for addresses without a name.",
);
export const HTTP_PROXY = proxy().describe(
  "Proxy to registries that speak plain HTTP; `http_proxy` comes first. Those on loopback never have one.",
);
export const NO_PROXY = text()
  .prefault("")
  .describe(
    "Hosts that are reached without a proxy: names (with all below them), `*.name`, addresses, each perhaps with a port, or `*`; and address ranges, for hosts that are addresses. `no_proxy` comes first.",
  );

function parseHost(raw: string): string {
  if (/^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@*]+)(?::\d{1,5})?$/.test(raw)) return raw;
  throw new Error(`must be host or host:port, not "${raw}"`);
}
