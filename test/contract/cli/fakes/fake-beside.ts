import type { AcquireMachineRequest } from "../../../../src/gen/windhover/machines/v1/acquire.ts";
import type { AcquireLeaseRequest } from "../../../../src/gen/windhover/machines/v1/leases.ts";
import { type Lease, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { EstimatePlacementsRequest } from "../../../../src/gen/windhover/machines/v1/platform.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { unary } from "../../../../src/lib/grpc/server/rpc.ts";
import type { FakeState } from "./fake-state.ts";

/** Leases in memory. */
export function leasesService(api: FakeState) {
  return {
    acquireLease: unary((req: AcquireLeaseRequest, ctx) =>
      api.answer("acquireLease", req, ctx, () => {
        const held = api.leases.get(req.machineId);
        if (held && held.nonce !== req.nonce) {
          const facts = { machine_id: req.machineId, owner: held.owner, expire_time: "2026-01-01T00:00:00Z" };
          throw new Fault("ABORTED", "LEASE_HELD", `lease currently held by ${held.owner}`, facts);
        }
        const lease: Lease = {
          nonce: held?.nonce ?? "0123456789abcdef0123456789abcdef",
          owner: "test",
          description: req.description,
          expireTime: new Date(Date.now() + 30_000),
          instanceId: "",
        };
        api.leases.set(req.machineId, lease);
        return { lease };
      }),
    ),
    getLease: unary((req: { machineId: string }, ctx) =>
      api.answer("getLease", req, ctx, () => {
        const lease = api.leases.get(req.machineId);
        if (!lease) throw new Fault("NOT_FOUND", "LEASE_NOT_FOUND", "lease not found");
        return { lease };
      }),
    ),
    releaseLease: unary((req: { machineId: string; nonce: string }, ctx) =>
      api.answer("releaseLease", req, ctx, () => {
        api.leases.delete(req.machineId);
        return {};
      }),
    ),
  };
}

/** Two regions, one of them full. */
export function platformService(api: FakeState) {
  const region = { name: "", latitude: 0, longitude: 0, group: "" };
  return {
    listRegions: unary((_req, ctx) =>
      api.answer("listRegions", {}, ctx, () => ({
        nearest: "ord",
        regions: [
          { ...region, code: "ams", name: "Amsterdam, Netherlands", group: "eu" },
          { ...region, code: "ord", name: "Chicago, Illinois (US)", group: "us" },
        ],
      })),
    ),
    estimatePlacements: unary((req: EstimatePlacementsRequest, ctx) =>
      api.answer("estimatePlacements", req, ctx, () => ({
        regions: [
          { region: "ord", count: 12, concurrency: 4 },
          { region: "ams", count: 0, concurrency: 4 },
        ],
      })),
    ),
    getCaller: unary(() => {
      throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", "not here");
    }),
  };
}

/** The second step of every acquire works. */
export function acquireService(api: FakeState) {
  return {
    acquireMachine: unary((req: AcquireMachineRequest, ctx) =>
      api.answer("acquireMachine", req, ctx, () => {
        const machine = api.add({ id: "0000a1b2c3d4e5", state: MachineState.STARTED });
        const attempt = {
          machineId: "",
          reason: "",
          message: "",
          duration: { seconds: 0n, nanos: 3_000_000 },
        };
        const step = Math.min(1, req.steps.length - 1);
        const failed = {
          ...attempt,
          step: 0,
          outcome: "skipped",
          reason: "HOST_UNREACHABLE",
          message: "away",
        };
        const won = { ...attempt, step, outcome: "started", machineId: machine.id };
        return { machine, step, repeated: false, attempts: step === 0 ? [won] : [failed, won] };
      }),
    ),
  };
}
