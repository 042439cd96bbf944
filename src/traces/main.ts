/**
 * The trace receiver of a local fleet: takes OTLP/HTTP from services and from `hover`, keeps the
 * latest traces on disk, and answers `hover trace`. Production sends OTLP to a collector instead.
 */
import { AuditLog } from "../lib/audit/audit-log.ts";
import { biscuits } from "../lib/auth/biscuit/user-token.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { listen } from "../lib/runtime/listen.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { readConfig, type TracesConfig } from "./config.ts";
import { closeServer, traceServer } from "./server.ts";
import { TraceStore } from "./store/store.ts";

await runService("traces", readConfig, start);

async function start(config: TracesConfig, stack: Stack) {
  const { verifier } = openAccess(stack, config, false);
  biscuits.preload();
  const store = new TraceStore(config.dir, config.bounds, systemClock);
  stack.add("database", () => store.close());

  const audit = new AuditLog(config.audit, "traces");
  stack.add("audit log", () => audit.close());
  const verify = (authorization: string | undefined) => verifier.verify(authorization);
  const server = traceServer(store, verify, systemClock, audit);
  const port = await listen(server, config.listen, "TRACES_LISTEN");
  stack.add("http", () => closeServer(server));
  return { listen: config.listen, port, dir: config.dir };
}
