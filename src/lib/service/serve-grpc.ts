import type { Server } from "@grpc/grpc-js";
import type { AuditSink } from "../audit/audit-entry.ts";
import { AuditLog, type AuditSettings } from "../audit/audit-log.ts";
import type { TokenVerifier } from "../auth/auth.ts";
import type { AppLookup, RpcRules } from "../auth/rpc-rules.ts";
import type { Edge } from "../config/edge-variables.ts";
import { addHealth, Health } from "../grpc/builtin/health.ts";
import { addReflection } from "../grpc/builtin/reflection.ts";
import type { TakeShare } from "../grpc/server/edge/edge.ts";
import type { LocalCalls } from "../grpc/server/local/local-calls.ts";
import { createServer, localCallsOf, type Running, serve } from "../grpc/server/serve.ts";
import { serveMetrics } from "../otel/metrics-server.ts";
import type { Stack } from "../runtime/lifecycle.ts";

/** Where and how a service serves. */
export interface GrpcConfig {
  readonly listen: string;
  readonly metricsListen: string | undefined;
  readonly graceMs: number;
  readonly edge: Edge;
  readonly audit: AuditSettings;
}

/** What a service serves. */
export interface GrpcService {
  /** Of its variables, e.g. `API`: named when an address is taken. */
  readonly prefix: string;
  /** Full names of its gRPC services. */
  readonly services: readonly string[];
  /** Of all methods. */
  readonly rules: RpcRules;
  addTo(server: Server): void;
  /** Adds the metrics that are read on demand; called when there is somebody to read them. */
  exposeMetrics?(): void;
  /** Is given the audit log, for what is done without a call. */
  takeAudit?(audit: AuditSink): void;
  /** Serves another protocol with the same handlers, once gRPC is served. */
  serveBeside?(calls: LocalCalls): Promise<void>;
  /** For tokens that are restricted to apps. Default: those may make no call that names a machine. */
  readonly appOf?: AppLookup;
  /** Takes the share of a call of an organisation. Default: there is no bound. */
  readonly takeShare?: TakeShare;
}

/** Beyond the grace, for closing the server. */
const CLOSE_MARGIN_MS = 5_000;

/** Serves gRPC with health, reflection and token checks, and metrics where that is configured. The stack closes both. */
export async function serveGrpc(
  stack: Stack,
  config: GrpcConfig,
  access: { readonly verifier: TokenVerifier },
  service: GrpcService,
): Promise<Running> {
  const { prefix, services, rules } = service;
  const { listen, metricsListen, graceMs, edge } = config;
  const audit = new AuditLog(config.audit, prefix.toLowerCase());
  stack.add("audit log", () => audit.close());
  service.takeAudit?.(audit);
  const health = new Health(services);
  const server = createServer({
    ...{ verifier: access.verifier, rules, audit },
    hasOpenReflection: edge.reflection === "open",
    limits: { connections: edge.connections },
    ...(service.takeShare ? { takeShare: service.takeShare } : {}),
    ...(service.appOf ? { appOf: service.appOf } : {}),
  });
  service.addTo(server);
  addHealth(server, health);
  if (edge.reflection !== "off") addReflection(server, [...services, "grpc.health.v1.Health"]);
  if (metricsListen !== undefined) {
    service.exposeMetrics?.();
    const isHealthy = () => health.isServing();
    stack.add("metrics", await serveMetrics(metricsListen, isHealthy, `${prefix}_METRICS_LISTEN`));
  }
  const running = await serve(server, listen, graceMs, health, `${prefix}_LISTEN`);
  stack.add("grpc", running, graceMs + CLOSE_MARGIN_MS);
  await service.serveBeside?.(localCallsOf(server));
  return running;
}
