import type {
  AnnounceHostRequest,
  HostReportsServiceServer,
  MachineStatus,
  ReportEventsRequest,
} from "../../gen/windhover/admin/v1/hosts.ts";
import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { eventFromProto, machineFromProto, statusFromProto } from "../machines/convert-machine.ts";
import { hostNumberOf, MAX_HOST_NUMBER, parseMachineId } from "../machines/ids/machine-id.ts";
import type { ReportedMachine } from "../machines/machine.ts";
import { announcedFromProto } from "./convert-host.ts";
import type { AnnouncedHost } from "./host-table.ts";
import type { Hosts } from "./hosts.ts";
import type { HostEvent } from "./outbox.ts";

const MAX_EVENTS = 500;
const MAX_CHARACTERS = 1_024;
const MAX_REASON_CHARACTERS = 4_096;
/** As hosts may have by their configuration. */
const MAX_LABELS = 64;
const MAX_LABEL_CHARACTERS = 63;

export function hostReportsService(hosts: Hosts): HostReportsServiceServer {
  return {
    announceHost: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { recorded: await hosts.announce(announcementFromProto(req)) };
    }),
    reportEvents: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const changes = changesFromProto(req);
      return { appliedSequence: await hosts.report(req.hostNumber, req.identity, changes) };
    }),
  };
}

function announcementFromProto(req: AnnounceHostRequest): AnnouncedHost {
  const violations = new Violations();
  checkIdentity(req.number, "number", req.identity, violations);
  for (const field of ["name", "region", "address"] as const)
    violations.check(req[field] !== "", field, "is required");
  const { name, region, zone, address, vmm, acceleration, isolation } = req;
  for (const [field, text] of Object.entries({ name, region, zone, address, vmm, acceleration, isolation })) {
    const fits = text.length <= MAX_CHARACTERS;
    violations.check(fits, field, `must have at most ${MAX_CHARACTERS} characters`);
  }
  const reasonFits = req.vmmReason.length <= MAX_REASON_CHARACTERS;
  violations.check(reasonFits, "vmm_reason", `must have at most ${MAX_REASON_CHARACTERS} characters`);
  const { size } = req.labels;
  violations.check(size <= MAX_LABELS, "labels", `must be at most ${MAX_LABELS}, not ${size}`);
  const isShort = [...req.labels].every((entry) =>
    entry.every((text) => text.length <= MAX_LABEL_CHARACTERS),
  );
  violations.check(isShort, "labels", `must have at most ${MAX_LABEL_CHARACTERS} characters each`);
  violations.throwIfAny();
  return announcedFromProto(req);
}

function changesFromProto(req: ReportEventsRequest): readonly HostEvent[] {
  const violations = new Violations();
  checkIdentity(req.hostNumber, "host_number", req.identity, violations);
  violations.check(req.events.length <= MAX_EVENTS, "events", `must be at most ${MAX_EVENTS}`);
  let last = 0n;
  for (const [i, { sequence, machine, status, event }] of req.events.entries()) {
    const at = `events[${i}]`;
    violations.check(sequence > last, `${at}.sequence`, "must be greater than the one before");
    last = sequence;
    const id = parseMachineId(machine?.id ?? status?.id ?? "");
    const isOwn = id !== undefined && hostNumberOf(id) === req.hostNumber;
    violations.check(isOwn, `${at}.${status ? "status" : "machine"}.id`, "must be a machine of the host");
    violations.check(!(machine && status), `${at}.status`, "must be absent when machine is set");
    violations.check(event?.id !== "", `${at}.event.id`, "is required");
  }
  violations.throwIfAny();
  return hostEventsFromProto(req);
}

/** Converts the changes in a report; they are not validated. */
export function hostEventsFromProto({ events }: ReportEventsRequest): readonly HostEvent[] {
  return events.flatMap(({ sequence, machine, status, event }) => {
    const reported = reportedFromProto(machine, status);
    if (!reported) return [];
    const change = { sequence, reported };
    return [event ? { ...change, event: eventFromProto(event) } : change];
  });
}

function reportedFromProto(
  machine: Machine | undefined,
  status: MachineStatus | undefined,
): ReportedMachine | undefined {
  if (machine) return { kind: "whole", machine: machineFromProto(machine) };
  return status && { kind: "status", machine: statusFromProto(status) };
}

function checkIdentity(number: number, field: string, identity: string, violations: Violations): void {
  const isNumber = number >= 0 && number <= MAX_HOST_NUMBER;
  violations.check(isNumber, field, `must be 0 to ${MAX_HOST_NUMBER}`);
  const isIdentity = identity !== "" && identity.length <= MAX_CHARACTERS;
  violations.check(isIdentity, "identity", "is required");
}
