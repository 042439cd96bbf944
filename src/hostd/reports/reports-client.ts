import { context } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import { HostReportsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { call, connect } from "../../lib/grpc/client.ts";
import type { ReportsApi } from "./outbox.ts";

const REPORT_TIMEOUT_MS = 10_000;
const ANNOUNCE_TIMEOUT_MS = 3_000;

/** An api as this host reports to it. Close it at the end. */
export interface ReportsClient extends ReportsApi {
  close(): void;
}

/** A client of one api. Its calls belong to no trace: what they tell of has been traced where it happened. */
export function reportsClient(address: string, token: TokenSource): ReportsClient {
  const client = connect(HostReportsServiceClient, address, { token });
  const quietly = <T>(work: () => Promise<T>): Promise<T> =>
    context.with(suppressTracing(context.active()), work);
  return {
    address,
    report: async (request) => {
      const scope = { timeoutMs: REPORT_TIMEOUT_MS };
      const answer = await quietly(() => call(client, client.reportEvents, request, scope));
      return Number(answer.appliedSequence);
    },
    announce: async (request) => {
      await quietly(() => call(client, client.announceHost, request, { timeoutMs: ANNOUNCE_TIMEOUT_MS }));
    },
    close: () => client.close(),
  };
}
