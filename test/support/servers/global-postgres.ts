import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.ts";

/** Runs once per vitest project that names it: one server for all its test files, each of which makes its own databases. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  project.provide("postgresFolder", server.folder);
  return () => server.close();
}
