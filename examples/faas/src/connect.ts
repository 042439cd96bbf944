import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Windhover } from "@windhover/client";

/** The app that all functions' machines are in. */
export const DEFAULT_APP = "faas";

/**
 * Opens the client: `WINDHOVER_API` are the addresses of apis, `WINDHOVER_TOKEN` is a token. Without
 * them, those of the local fleet.
 */
export function connect(env: NodeJS.ProcessEnv = process.env): Windhover {
  const endpoints = (env["WINDHOVER_API"] ?? "127.0.0.1:7070").split(",");
  return new Windhover({ endpoints, token: env["WINDHOVER_TOKEN"] ?? localToken(env) });
}

function localToken(env: NodeJS.ProcessEnv): string {
  const folder = env["WINDHOVER_DIR"] ?? join(import.meta.dirname, "../../../.windhover");
  return readFileSync(join(folder, "token"), "utf8").trim();
}
