/**
 * The trace receiver of a local fleet: takes OTLP over HTTP and gRPC from services and from `hover`,
 * finds the operations in traces, keeps both on disk within bounds, and answers `hover trace`. The
 * console reads its database. Production may send OTLP to a collector as well.
 */
import { AuditLog } from "../lib/audit/audit-log.ts";
import { biscuits } from "../lib/auth/biscuit/user-token.ts";
import { serve } from "../lib/grpc/server/serve.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { listen } from "../lib/runtime/listen.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { readConfig, type TracesConfig } from "./config.ts";
import { grpcServer } from "./otlp/grpc-server.ts";
import { closeServer, traceServer } from "./server.ts";
import { startSealing } from "./store/seal-loop.ts";
import { TraceStore } from "./store/store.ts";

const GRACE_MS = 2_000;

await runService("traces", readConfig, start);

async function start(config: TracesConfig, stack: Stack) {
  const { verifier } = openAccess(stack, config, false);
  biscuits.preload();
  const store = new TraceStore(config.dir, config.bounds, systemClock);
  stack.add("database", () => store.close());
  stack.add("sealing", startSealing(store));

  const audit = new AuditLog(config.audit, "traces");
  stack.add("audit log", () => audit.close());
  const verify = (authorization: string | undefined) => verifier.verify(authorization);
  const server = traceServer(store, verify, systemClock, audit);
  const port = await listen(server, config.listen, "TRACES_LISTEN");
  stack.add("http", () => closeServer(server));
  const grpc = grpcServer(store, verifier, audit);
  const running = await serve(grpc.server, config.grpcListen, GRACE_MS, grpc.health, "TRACES_GRPC_LISTEN");
  stack.add("grpc", running);
  return { listen: config.listen, port, grpc_port: running.port, dir: config.dir };
}
