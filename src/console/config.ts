import { join } from "node:path";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import { address, type Env, integer, list, parsed, readEnv, showConfig, text } from "../lib/config/config.ts";
import { common, LOG_LEVEL, TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE } from "../lib/config/variables.ts";
import { DEFAULT_OBJECTIVES, parseObjective } from "./parameters/objectives.ts";

/** Everything that the console reads from its environment. */
export const variables = {
  CONSOLE_LISTEN: address().prefault("127.0.0.1:7090").describe("Where to serve the page and its queries."),
  CONSOLE_URL: parsed(parseUrl)
    .meta({ kind: "URL" })
    .optional()
    .describe(
      "Where browsers reach the console when a proxy with TLS is in front of it, e.g. `https://console.example`. Unset: only at names of this machine.",
    ),
  CONSOLE_TRACES_DIR: text().describe("`TRACES_DIR` of the receiver whose store is shown. It is only read."),
  CONSOLE_OPERATIONS: integer(1_000, 1_000_000)
    .prefault(100_000)
    .describe("Operations kept in memory, the newest; some 500 bytes each."),
  CONSOLE_OBJECTIVES: list(parsed(parseObjective).meta({ kind: "KIND[/PATH]=DURATION[@PERCENT]" }))
    .prefault(DEFAULT_OBJECTIVES)
    .describe(
      "Within what time operations should succeed, by kind and start path, and how many in a hundred (99).",
    ),
  CONSOLE_AUDIT_DIR: common
    .auditDir("no file")
    .describe("Folder of the audit log, which has refused requests."),
  CONSOLE_LOG_LEVEL: common.logLevel(),
  ...{ LOG_LEVEL, ...auditVariables },
  ...{ TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE },
};

/** The configuration of the console. */
export type ConsoleConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(env: Env) {
  const values = readEnv(env, variables);
  return {
    listen: values.CONSOLE_LISTEN,
    publicUrl: values.CONSOLE_URL,
    tracesDir: values.CONSOLE_TRACES_DIR,
    capacity: values.CONSOLE_OPERATIONS,
    objectives: values.CONSOLE_OBJECTIVES,
    pageDir: join(import.meta.dirname, "web/dist"),
    logLevel: values.CONSOLE_LOG_LEVEL ?? values.LOG_LEVEL,
    audit: auditSettings(values, values.CONSOLE_AUDIT_DIR),
    keysDir: values.TOKEN_KEYS_DIR,
    revocationsFile: values.TOKEN_REVOCATIONS_FILE,
    show: () => showConfig(variables, env),
  };
}

function parseUrl(raw: string): string {
  const url = URL.parse(raw);
  const isPlain = url && url.username === "" && url.pathname === "/" && url.search === "" && url.hash === "";
  if (isPlain && ["http:", "https:"].includes(url.protocol)) return url.origin;
  throw new Error(`must be a URL without a path, such as https://console.example, not "${raw}"`);
}
