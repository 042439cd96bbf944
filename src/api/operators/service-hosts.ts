import type {
  AnnounceHostRequest,
  HostReportsServiceServer,
  HostsServiceServer,
  ReportEventsRequest,
} from "../../gen/windhover/admin/v1/hosts.ts";
import { Scheduling } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { requireScope } from "../../lib/auth/auth.ts";
import { serverStream, unary } from "../../lib/grpc/rpc.ts";
import { Violations } from "../../lib/runtime/violations.ts";
import type { HostEntry } from "../hosts/host-table.ts";
import type { Hosts } from "../hosts/hosts.ts";
import type { HostEvent } from "../hosts/outbox.ts";
import { eventFrom, machineFrom } from "../machines/convert-machine.ts";
import { hostNumberOf, MAX_HOST_NUMBER, parseMachineId } from "../machines/machine-id.ts";
import { measureDrain } from "../metrics.ts";
import { callerOf } from "../requests/request.ts";
import { drainedTo, entryOf } from "./convert-hosts.ts";
import type { HostLists } from "./host-lists.ts";
import type { Operators } from "./operators.ts";

const MAX_EVENTS = 500;
const MAX_TEXT = 1_024;

/** Puts hosts on the wire, for operators. */
export function hostsService(lists: HostLists, operators: Operators): HostsServiceServer {
  return {
    listHosts: unary(async (req, ctx) => ({
      hosts: [...(await lists.list(req.region, callerOf(ctx, "admin")))],
    })),
    setHostScheduling: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "admin");
      const violations = new Violations();
      if (req.scheduling !== Scheduling.OPEN && req.scheduling !== Scheduling.CORDONED)
        violations.add("scheduling", "must be open or cordoned; to empty a host, use DrainHost");
      violations.throwIfAny();
      const { host, previous } = await operators.setScheduling(req.host, req.scheduling, caller);
      return { hostNumber: host.number, previous };
    }),
    drainHost: serverStream(async function* (req, ctx) {
      const caller = callerOf(ctx, "admin");
      const steps = measureDrain(operators.drain(req.host, caller));
      for await (const drained of steps) yield drainedTo(drained);
    }),
  };
}

/** Takes in what hosts report: checks and converts, and decides nothing else. */
export function hostReportsService(hosts: Hosts): HostReportsServiceServer {
  return {
    announceHost: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { recorded: await hosts.announce(entryFrom(req)) };
    }),
    reportEvents: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const events = eventsFrom(req);
      return { appliedSequence: await hosts.report(req.hostNumber, req.identity, events) };
    }),
  };
}

function entryFrom(req: AnnounceHostRequest): Omit<HostEntry, "lastSeenMs"> {
  const violations = new Violations();
  checkIdentity(req.number, "number", req.identity, violations);
  for (const field of ["name", "region", "address"] as const) {
    if (req[field] === "") violations.add(field, "is required");
  }
  const { name, region, zone, address, vmm, acceleration, isolation } = req;
  for (const [field, text] of Object.entries({ name, region, zone, address, vmm, acceleration, isolation })) {
    if (text.length > MAX_TEXT) violations.add(field, `must have at most ${MAX_TEXT} characters`);
  }
  violations.throwIfAny();
  return entryOf(req);
}

function eventsFrom(req: ReportEventsRequest): readonly HostEvent[] {
  const violations = new Violations();
  checkIdentity(req.hostNumber, "host_number", req.identity, violations);
  if (req.events.length > MAX_EVENTS) violations.add("events", `must be at most ${MAX_EVENTS}`);
  let last = 0n;
  for (const [i, { sequence, machine, event }] of req.events.entries()) {
    const at = `events[${i}]`;
    if (sequence <= last) violations.add(`${at}.sequence`, "must be greater than the one before");
    last = sequence;
    const id = parseMachineId(machine?.id ?? "");
    // A host speaks for its own machines only.
    if (!id || hostNumberOf(id) !== req.hostNumber)
      violations.add(`${at}.machine.id`, "must be a machine of the host");
    if (event?.id === "") violations.add(`${at}.event.id`, "is required");
  }
  violations.throwIfAny();
  return req.events.flatMap(({ sequence, machine, event }) =>
    machine
      ? [{ sequence, machine: machineFrom(machine), ...(event ? { event: eventFrom(event) } : {}) }]
      : [],
  );
}

function checkIdentity(number: number, field: string, identity: string, violations: Violations): void {
  if (number < 0 || number > MAX_HOST_NUMBER) violations.add(field, `must be 0 to ${MAX_HOST_NUMBER}`);
  if (identity === "" || identity.length > MAX_TEXT) violations.add("identity", "is required");
}
