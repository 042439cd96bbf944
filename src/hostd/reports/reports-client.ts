import { HostReportsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { call, connect } from "../../lib/grpc/client.ts";
import { type HostIdentity, hostInfoToProto } from "../convert-host.ts";
import type { OutboxEntry } from "../store/store.ts";
import { reportToProto } from "./convert-report.ts";
import type { BatchOptions, ReportsApi } from "./outbox.ts";

const REPORT_TIMEOUT_MS = 10_000;
const ANNOUNCE_TIMEOUT_MS = 3_000;

export class ReportsClient implements ReportsApi {
  readonly address: string;
  readonly #client: HostReportsServiceClient;
  readonly #host: HostIdentity;

  constructor(address: string, token: TokenSource, host: HostIdentity) {
    this.address = address;
    this.#client = connect(HostReportsServiceClient, address, { token });
    this.#host = host;
  }

  async report(entries: readonly OutboxEntry[], options: BatchOptions): Promise<number> {
    const request = reportToProto(this.#host, entries, options);
    const scope = { timeoutMs: REPORT_TIMEOUT_MS };
    const { appliedSequence } = await call(this.#client, this.#client.reportEvents, request, scope);
    return Number(appliedSequence);
  }

  async announce(): Promise<void> {
    const request = hostInfoToProto(this.#host);
    await call(this.#client, this.#client.announceHost, request, { timeoutMs: ANNOUNCE_TIMEOUT_MS });
  }

  close(): void {
    this.#client.close();
  }
}
