import { randomUUID } from "node:crypto";
import type { Machine } from "../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  CreateMachineResponse,
  MachinesServiceClient,
} from "../../gen/windhover/machines/v1/machines.ts";
import { backoffMs } from "../../lib/runtime/backoff.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { type ConfigFlags, machineConfig } from "../parse/machine-config.ts";
import { type PlacementFlags, placement } from "../parse/placement.ts";
import { Progress } from "../render/progress.ts";
import { span as time } from "../render/time.ts";
import { EXIT, toFault } from "../report.ts";
import type { Handler } from "../runner.ts";
import type { Session } from "../session.ts";
import { machineJson } from "../show/machine-json.ts";
import { addressText, startOutcome } from "../show/machine-text.ts";
import { harmless } from "../terminal.ts";
import { RootSpan } from "../trace/root-span.ts";
import { UsageError } from "../usage-error.ts";
import { followCreate, isConnectionLoss } from "./create-follow.ts";
import { appOf, machinesClient } from "./find.ts";

/** Flags of `machine run` and `machine create`. */
export interface CreateFlags extends ConfigFlags, PlacementFlags {
  readonly app?: string;
  readonly name?: string;
  readonly region?: string;
  readonly requestId?: string;
}

type Args = [image: string | undefined, command: string[]];

/** A create may have to pull and flatten a large image. */
const TIMEOUT_MS = 15 * 60_000;
/** An api that had answered and is gone may take this long to come back, or another to take over. */
const PATIENCE_MS = 60_000;

/** `hover machine run`. */
export const runMachine: Handler<Args, CreateFlags> = (session, args, flags) =>
  create(session, args, flags, "run");

/** `hover machine create`. */
export const createMachine: Handler<Args, CreateFlags> = (session, args, flags) =>
  create(session, args, flags, "create");

async function create(
  session: Session,
  [image, command]: Args,
  flags: CreateFlags,
  verb: "run" | "create",
): Promise<number> {
  const app = appOf(session, flags);
  if (app === undefined)
    throw new UsageError(
      "Which app? Name it with -a; hover app list shows them, hover app create NAME makes one.",
    );
  const request: CreateMachineRequest = {
    app,
    config: machineConfig(image, command, flags),
    name: flags.name ?? "",
    region: flags.region ?? "",
    skipLaunch: verb === "create",
    requestId: flags.requestId ?? `hover-${randomUUID()}`,
    placement: placement(flags),
  };
  const client = await machinesClient(session);
  const span = new RootSpan(`hover machine ${verb}`);
  const begun = performance.now();
  try {
    const response = await createPatiently(session, client, request, span);
    const ms = performance.now() - begun;
    const id = response.machine?.id ?? "";
    span.end({ attributes: { "windhover.machine.id": id } });
    return show(session, response, request, span.traceId, ms);
  } catch (err) {
    span.end({ reason: session.signal.aborted ? "CANCELLED" : toFault(err).reason });
    if (session.signal.aborted) {
      session.say(`Interrupted; the create itself goes on. To see it: hover machine list -a ${app}`);
      session.say(`To wait for it: the same command with --request-id ${request.requestId}`);
    }
    throw err;
  } finally {
    await span.send(session.settings);
  }
}

/** Creates, and asks again with the same request id when the api goes away in the middle: it is the same create. */
async function createPatiently(
  session: Session,
  client: MachinesServiceClient,
  request: CreateMachineRequest,
  span: RootSpan,
): Promise<CreateMachineResponse> {
  const progress = new Progress(session.terminal, session.json);
  const ended = new AbortController();
  const following = followCreate(session, client, request.requestId, progress, ended.signal);
  const until = performance.now() + TIMEOUT_MS;
  let lostAt: number | undefined;
  try {
    for (let attempt = 0; ; attempt++) {
      const asked = performance.now();
      try {
        return await session.call(client, client.createMachine, request, { timeoutMs: until - asked, span });
      } catch (err) {
        // One that never answered is not there: say so at once instead of waiting for it.
        const wasThere = progress.hasBegun || performance.now() - asked > 1_000;
        if (
          session.signal.aborted ||
          !isConnectionLoss(err, session.settings) ||
          (attempt === 0 && !wasThere)
        )
          throw err;
        if (performance.now() - asked > 1_000) lostAt = undefined;
        lostAt ??= performance.now();
        if (performance.now() - lostAt > PATIENCE_MS) throw err;
        progress.note("the api does not answer; asking again with the same request id");
        await sleep(backoffMs({ firstMs: 200, maxMs: 2_000 }, attempt), session.signal);
        session.signal.throwIfAborted();
      }
    }
  } finally {
    ended.abort();
    await following;
    progress.close();
  }
}

function show(
  session: Session,
  { machine, repeated }: CreateMachineResponse,
  request: CreateMachineRequest,
  traceId: string,
  ms: number,
): number {
  const outcome = machine && !request.skipLaunch ? startOutcome(machine) : { ok: true, text: "created" };
  if (session.json) {
    session.printJson({
      id: machine?.id ?? null,
      machine: machine ? machineJson(machine) : null,
      repeated,
      request_id: request.requestId,
      trace_id: traceId,
      duration_ms: Number(ms.toFixed(3)),
    });
  } else if (machine) {
    session.printLines(lines(machine, outcome.text, repeated, ms));
    const next = outcome.ok ? nextSteps(machine, request.skipLaunch) : [`hover machine logs ${machine.id}`];
    session.say(next.map((step, i) => `${i === 0 ? "Next:" : "     "} ${step}`).join("\n"));
  }
  return outcome.ok ? EXIT.ok : EXIT.failed;
}

function lines(machine: Machine, outcome: string, repeated: boolean, ms: number): string[] {
  const again = repeated ? "  (an earlier call with this request id had created it)" : "";
  const startPath = machine.lastStartPath === "" ? "" : ` (${machine.lastStartPath})`;
  return [
    `${machine.id} ${outcome} in ${time(ms)}${startPath}${again}`,
    `  name      ${harmless(machine.name)}`,
    `  host      ${machine.host}, region ${machine.region}`,
    ...(machine.serviceAddresses.length > 0 ? [`  address   ${addressText(machine)}`] : []),
  ];
}

function nextSteps(machine: Machine, skipLaunch: boolean): string[] {
  if (skipLaunch) return [`hover machine start ${machine.id}`];
  const tcp = machine.serviceAddresses.find((address) => address.protocol === "tcp");
  return [
    ...(tcp ? [`curl http://${tcp.address}/`] : []),
    `hover machine logs ${machine.id}`,
    `hover machine stop ${machine.id}`,
    `hover trace ${machine.id}`,
  ];
}
