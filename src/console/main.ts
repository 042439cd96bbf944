/**
 * The console: answers where the time of starts goes, from the store of a trace receiver on the same
 * host. Users' browsers and `hover` call it. It may lose everything: it only reads, and begins anew
 * with what the receiver keeps.
 */
import { AuditLog } from "../lib/audit/audit-log.ts";
import { biscuits } from "../lib/auth/biscuit/user-token.ts";
import { TraceReader } from "../lib/latency/trace-reader.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { type ConsoleConfig, readConfig } from "./config.ts";
import { startConsole } from "./console.ts";

await runService("console", readConfig, start);

async function start(config: ConsoleConfig, stack: Stack) {
  const { verifier } = openAccess(stack, config, false);
  biscuits.preload();
  const audit = new AuditLog(config.audit, "console");
  stack.add("audit log", () => audit.close());
  const source = new TraceReader(config.tracesDir);
  stack.add("traces", () => source.close());
  const running = await startConsole(config, { source, verifier, audit, clock: systemClock });
  stack.add("http", () => running.close());
  return { listen: config.listen, port: running.port, url: running.url, has_page: running.hasPage };
}
