import { freePorts } from "../../../../dev/settings/ports.ts";
import { AuditServiceService, type ReadAuditRequest } from "../../../../src/gen/windhover/admin/v1/audit.ts";
import {
  HostsServiceService,
  ReservationsServiceService,
} from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { OrganizationsServiceService } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import { TokensServiceService } from "../../../../src/gen/windhover/admin/v1/tokens.ts";
import { AcquireServiceService } from "../../../../src/gen/windhover/machines/v1/acquire.ts";
import { AppsServiceService } from "../../../../src/gen/windhover/machines/v1/apps.ts";
import { ExecServiceService } from "../../../../src/gen/windhover/machines/v1/exec.ts";
import { LeasesServiceService } from "../../../../src/gen/windhover/machines/v1/leases.ts";
import { MachinesServiceService } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { PlatformServiceService } from "../../../../src/gen/windhover/machines/v1/platform.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { type CallContext, serverStream, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, type Running, serve } from "../../../../src/lib/grpc/server/serve.ts";
import { sleep } from "../../../../src/lib/runtime/wait.ts";
import { keys } from "../../traces/support.ts";
import { type Answer, appsService, orgsService } from "./fake-apps.ts";
import { acquireService, leasesService, platformService } from "./fake-beside.ts";
import { execService } from "./fake-exec.ts";
import { machinesService } from "./fake-machines.ts";

import { FakeState } from "./fake-state.ts";

export { line, step } from "./fake-state.ts";

/** A scripted API with machines in memory, over real gRPC. */
export class FakeApi extends FakeState {
  port = 0;
  #running: Running | undefined;

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Listens; again at the same port after {@link stop}, which nobody takes meanwhile. */
  async start(): Promise<void> {
    if (this.port === 0) [this.port = 0] = await freePorts(1);
    const answer: Answer = (...call) => this.answer(...call);
    const server = createServer({ verifier: new TokenVerifier(keys.publicKey) });
    server.addService(MachinesServiceService, machinesService(this));
    server.addService(ExecServiceService, execService(this));
    server.addService(LeasesServiceService, leasesService(this));
    server.addService(PlatformServiceService, platformService(this));
    server.addService(AcquireServiceService, acquireService(this));
    server.addService(AppsServiceService, appsService(this.apps, this.hostnames, answer));
    server.addService(OrganizationsServiceService, orgsService(this.orgs, answer));
    server.addService(HostsServiceService, {
      listHosts: unary((_req, ctx) => this.answer("listHosts", {}, ctx, () => ({ hosts: this.hosts }))),
      setHostScheduling: unary((req, ctx) =>
        this.answer("setHostScheduling", req, ctx, () => ({ hostNumber: 1, previous: Scheduling.OPEN })),
      ),
      drainHost: serverStream(
        async function* (this: FakeApi, req: { host: string }, ctx: CallContext) {
          this.answer("drainHost", req, ctx, () => undefined);
          yield* this.drained;
          if (this.drainsHang) await sleep(60_000, ctx.signal);
        }.bind(this),
      ),
    });
    server.addService(AuditServiceService, {
      readAudit: serverStream(
        async function* (this: FakeApi, req: ReadAuditRequest, ctx: CallContext) {
          this.answer("readAudit", req, ctx, () => undefined);
          const since = req.sinceTime?.getTime() ?? 0;
          yield { entries: this.audited.filter(({ time }) => (time?.getTime() ?? 0) >= since) };
          if (req.follow) await sleep(60_000, ctx.signal);
        }.bind(this),
      ),
    });
    server.addService(ReservationsServiceService, {
      listReservations: unary((req, ctx) =>
        this.answer("listReservations", req, ctx, () => ({
          reservations: this.reservations,
          total: this.reservations.length,
          nextPageToken: "",
        })),
      ),
    });
    server.addService(TokensServiceService, {
      listTokens: unary(() => ({ tokens: this.tokens, nextPageToken: "" })),
      revokeToken: unary(() => ({ known: true })),
      revokeOrganizationTokens: unary(() => ({ notBeforeTime: new Date() })),
      listTokenKeys: unary(() => ({ keys: [] })),
    });
    this.#running = await serve(server, this.address, 50);
    this.port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
  }
}
