import {
  HealthClient,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health.ts";
import { HostsServiceClient } from "../../src/gen/windhover/admin/v1/hosts.ts";
import { SchedulerServiceClient } from "../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { call, connect } from "../../src/lib/grpc/client.ts";

/** Throws unless the gRPC server at `address` says that it serves. */
export async function checkHealth(address: string, signal: AbortSignal): Promise<void> {
  const client = connect(HealthClient, address, { ownConnection: true });
  try {
    const answer = await call(client, client.check, { service: "" }, { timeoutMs: 2_000, signal });
    if (answer.status !== Status.SERVING) throw new Error(`${address} is ${answer.status}`);
  } finally {
    client.close();
  }
}

/** Throws unless `count` hosts are attached to a scheduler. `token` is a service's. */
export async function checkAttached(
  scheduler: string,
  token: string,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const client = connect(SchedulerServiceClient, scheduler, { token: () => token, ownConnection: true });
  try {
    const { hosts } = await call(
      client,
      client.listHosts,
      { pageSize: 0, pageToken: "" },
      { timeoutMs: 2_000, signal },
    );
    if (hosts.length < count) throw new Error(`${hosts.length} of ${count} hosts are attached`);
  } finally {
    client.close();
  }
}

/** Throws unless the API knows `count` attached hosts. */
export async function checkHosts(
  api: string,
  token: string,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const client = connect(HostsServiceClient, api, { token: () => token, ownConnection: true });
  try {
    const { hosts } = await call(client, client.listHosts, { region: "" }, { timeoutMs: 2_000, signal });
    const attached = hosts.filter((host) => host.attached).length;
    if (attached < count) throw new Error(`${attached} of ${count} hosts are attached`);
  } finally {
    client.close();
  }
}
