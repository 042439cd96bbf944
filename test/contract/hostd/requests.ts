import { randomBytes } from "node:crypto";
import {
  CreateMachineRequest,
  type NewLease,
  UpdateMachineRequest,
} from "../../../src/gen/windhover/hostd/v1/hostd.ts";

export const HOST_NUMBER = 7;
export const DIGEST = `sha256:${"d".repeat(64)}`;

/** A new id of a machine of the test's host. */
export function newId(host: number = HOST_NUMBER): string {
  return host.toString(16).padStart(5, "0") + randomBytes(5).toString("hex").slice(0, 9);
}

export interface UpdateFields extends Partial<Omit<UpdateMachineRequest, "config" | "imageRef">> {
  readonly exec?: readonly string[];
  readonly memoryMb?: number;
  readonly digest?: string;
  readonly config?: object;
}

/** A request to replace the configuration by one of the same image. */
export function updateRequest(machineId: string, fields: UpdateFields): UpdateMachineRequest {
  const { exec, memoryMb = 256, digest = DIGEST, config = {}, ...rest } = fields;
  return UpdateMachineRequest.fromPartial({
    machineId,
    ...rest,
    imageRef: { registry: "registry.test", repository: "nginx", tag: "latest", digest },
    config: {
      image: "nginx",
      guest: { cpuKind: "shared", cpus: 1, memoryMb },
      ...(exec ? { init: { exec: [...exec] } } : {}),
      ...config,
    },
  });
}

export interface CreateFields {
  readonly id?: string;
  readonly exec?: string[];
  readonly memoryMb?: number;
  readonly config?: object;
  readonly keepForLaunch?: boolean;
  readonly lease?: NewLease;
}

/** A request to create a small machine. */
export function createRequest(
  hold: { reservationId: string; epoch: bigint },
  fields: CreateFields = {},
): CreateMachineRequest {
  return CreateMachineRequest.fromPartial({
    machine: {
      id: fields.id ?? newId(),
      name: "web-1",
      app: "web",
      org: "acme",
      region: "ord",
      config: {
        image: "nginx",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: fields.memoryMb ?? 256 },
        ...(fields.exec ? { init: { exec: fields.exec } } : {}),
        ...fields.config,
      },
      imageRef: { registry: "registry.test", repository: "nginx", tag: "latest", digest: DIGEST },
      createTraceId: "c".repeat(32),
    },
    reservationId: hold.reservationId,
    epoch: hold.epoch,
    keepForLaunch: fields.keepForLaunch ?? false,
    ...(fields.lease ? { lease: fields.lease } : {}),
  });
}

/** A value that must be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is missing");
  return value;
}
