import type { Stack } from "../../lib/runtime/lifecycle.ts";
import { Database } from "../../lib/stores/postgres.ts";
import { GatedDatabase } from "./gated-database.ts";

/** Opens the database of an api and begins to migrate it. */
export function openDatabase(url: string, maxConnections: number, stack: Stack): GatedDatabase {
  const pool = new Database({ url, maxConnections, applicationName: "windhover-api" });
  stack.add("postgres", () => pool.close());
  const database = new GatedDatabase(pool, url);
  // Not waited for: machines start and stop without Postgres.
  stack.add("migrations", database.open());
  return database;
}
