import {
  type CheckStatus,
  HostStatus,
  type ImageRef,
  type Lease,
  type Machine,
} from "../../../gen/windhover/machines/v1/machine.ts";
import type {
  ListMachinesResponse,
  MachineVersion,
  WaitMachineResponse,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { privateAddress } from "../../../lib/addresses/private-address.ts";
import { stateFromProto } from "../../machines/convert-machine.ts";
import { configToJson } from "./config/convert-config.ts";
import { eventsToJson } from "./convert-event.ts";
import { type JsonObject, own } from "./json.ts";

/** Members that a machine's JSON has or lacks. */
export interface MachineJsonOptions {
  /** Leaves out configuration, checks, events, host status and nonce. */
  readonly summary?: boolean;
  /** Adds the lease that is held, without its nonce. */
  readonly lease?: boolean;
}

/** Converts a machine. On an unreachable host, its configuration is `incomplete_config`, as at Fly. */
export function machineToJson(
  machine: Machine,
  { summary = false, lease = false }: MachineJsonOptions = {},
): JsonObject {
  const { id, name, region, instanceId, cordoned } = machine;
  const held = machine.lease;
  return {
    id,
    name,
    state: stateFromProto(machine.state),
    region,
    instance_id: instanceId,
    version: instanceId,
    private_ip: privateAddress(id),
    ...(summary ? {} : configMembers(machine)),
    image_ref: imageRefToJson(machine.imageRef),
    created_at: timeToJson(machine.createTime),
    updated_at: timeToJson(machine.updateTime ?? machine.createTime),
    ...(summary ? {} : { events: eventsToJson(machine.events), checks: machine.checks.map(checkToJson) }),
    ready: machine.ready,
    cordoned,
    ...(held?.nonce && !summary ? { nonce: held.nonce } : {}),
    ...(held && lease ? { lease: leaseMembers({ ...held, nonce: "" }) } : {}),
  };
}

/** Converts a machine as the list of an organisation has it. */
export function orgMachineToJson(machine: Machine, summary = false): JsonObject {
  const config = configToJson(machine.config);
  const [image, guest, metadata] = ["image", "guest", "metadata"].map((name) => own(config, name));
  return {
    id: machine.id,
    name: machine.name,
    app_name: machine.app,
    state: stateFromProto(machine.state),
    region: machine.region,
    instance_id: machine.instanceId,
    version: machine.instanceId,
    private_ip: privateAddress(machine.id),
    created_at: timeToJson(machine.createTime),
    updated_at: timeToJson(machine.updateTime ?? machine.createTime),
    ...(summary ? {} : { config: { image, guest, metadata: metadata ?? {} } }),
  };
}

/**
 * Converts a page of the list of an organisation. The database has changes a moment later than hosts:
 * the last page is sorted by what the hosts say. Others are in the order in which the cursor goes on.
 */
export function orgPageToJson(page: ListMachinesResponse, summary = false): JsonObject {
  const isLast = page.nextPageToken === "";
  const machines = isLast ? page.machines.toSorted((a, b) => changedMs(a) - changedMs(b)) : page.machines;
  const last = machines.at(-1);
  return {
    machines: machines.map((machine) => orgMachineToJson(machine, summary)),
    ...(isLast ? {} : { next_cursor: page.nextPageToken }),
    ...(last
      ? { last_machine_id: last.id, last_updated_at: timeToJson(last.updateTime ?? last.createTime) }
      : {}),
    error_regions: page.unansweredRegions,
  };
}

/**
 * Converts a lease, in the envelope that written clients expect and beside it: clients that are
 * generated from Fly's OpenAPI document look for its members outside.
 */
export function leaseToJson(lease: Lease | undefined): JsonObject {
  const data = lease ? leaseMembers(lease) : {};
  return { ...data, status: "success", data };
}

/** Converts the end of a wait. */
export function waitToJson({ machine, eventId }: WaitMachineResponse): JsonObject {
  return {
    ok: true,
    ...(eventId === "" ? {} : { event_id: eventId }),
    ...(machine ? { state: stateFromProto(machine.state), version: machine.instanceId } : {}),
  };
}

/** Converts a version of a configuration. */
export function versionToJson({ instanceId, config }: MachineVersion): JsonObject {
  return { version: instanceId, user_config: configToJson(config) };
}

function checkToJson({ name, status, output, updateTime }: CheckStatus): JsonObject {
  return { name, status, output, updated_at: timeToJson(updateTime) };
}

function configMembers(machine: Machine): JsonObject {
  const config = configToJson(machine.config);
  // A list has `unknown` for hosts that it did not ask: `ok` here.
  const isUnreachable = machine.hostStatus === HostStatus.UNREACHABLE;
  return isUnreachable
    ? { incomplete_config: config, host_status: "unreachable" }
    : { config, host_status: "ok" };
}

function imageRefToJson(image: ImageRef | undefined): JsonObject {
  const { registry = "", repository = "", tag = "", digest = "" } = image ?? {};
  return { registry, repository, tag, digest, labels: {} };
}

function leaseMembers({ nonce, owner, description, expireTime, instanceId }: Lease): JsonObject {
  return {
    ...(nonce === "" ? {} : { nonce }),
    expires_at: Math.floor((expireTime?.getTime() ?? 0) / 1_000),
    owner,
    description,
    version: instanceId,
  };
}

function changedMs({ createTime, updateTime }: Machine): number {
  return (updateTime ?? createTime)?.getTime() ?? 0;
}

function timeToJson(time: Date | undefined): string {
  return (time ?? new Date(0)).toISOString();
}
