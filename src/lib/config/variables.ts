import { LEVELS } from "../runtime/log.ts";
import { address, duration, list, oneOf, text } from "./config.ts";

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
export const REGISTRY_AUTH_FILE = text()
  .optional()
  .describe("Credentials of registries, in the format of Docker's `config.json`. Unset: anonymous.");
export const REGISTRY_INSECURE = list(text())
  .prefault("")
  .describe("Registries besides those on loopback that speak plain HTTP, as `host` or `host:port`.");
