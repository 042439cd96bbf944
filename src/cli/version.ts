import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The version of this project. */
export function versionOf(): string {
  const path = join(import.meta.dirname, "../../package.json");
  // Our own file.
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
