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
export const TOKEN_PUBLIC_KEY_FILE = text().describe(
  "Ed25519 public key that tokens are verified with, PEM.",
);
export const TOKEN_SIGNING_KEY_FILE = text().describe(
  "Ed25519 private key that services' own tokens are signed with, PEM.",
);
export const REGISTRY_AUTH_FILE = text()
  .optional()
  .describe("Credentials of registries, in the format of Docker's `config.json`. Unset: anonymous.");
export const REGISTRY_INSECURE = list(text())
  .prefault("")
  .describe("Registries besides those on loopback that speak plain HTTP, as `host` or `host:port`.");
