import { randomUUID } from "node:crypto";
import type { Machine } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  CreateMachineResponse,
  MachinesServiceClient,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { backoffMs } from "../../../../lib/runtime/backoff.ts";
import { sleep } from "../../../../lib/runtime/wait.ts";
import { toJson } from "../../../render/json.ts";
import { Progress } from "../../../render/progress.ts";
import { span as time } from "../../../render/time.ts";
import { EXIT } from "../../../session/report.ts";
import type { RootSpan } from "../../../session/root-span.ts";
import type { Session } from "../../../session/session.ts";
import { harmless } from "../../../session/terminal.ts";
import { UsageError } from "../../../session/usage-error.ts";
import { type AppFlag, appOf, machinesClient } from "../../find.ts";
import type { ConfigFlags } from "../config/config-flags.ts";
import { machineConfig } from "../config/machine-config.ts";
import { type PlacementFlags, placement } from "../config/placement.ts";
import { addressText, startOutcome } from "../machine-text.ts";
import { followCreate, isConnectionLoss } from "./create-follow.ts";

export interface CreateFlags extends AppFlag, ConfigFlags, PlacementFlags {
  readonly name?: string;
  readonly region?: string;
  readonly requestId?: string;
  readonly skipLaunch?: boolean;
}

/** Arguments of both. */
export type CreateArguments = [image: string | undefined, command: string[]];

/** A create may have to pull and flatten a large image. */
const TIMEOUT_MS = 15 * 60_000;
/** How long an API that had answered may be away: it restarts, or another takes over. */
const OUTAGE_LIMIT_MS = 60_000;
/** A call that lasted this long had reached the API. */
const REACHED_MS = 1_000;
const RETRY = { firstMs: 200, maxMs: 2_000 };

export async function runCreate(
  session: Session,
  [image, command]: CreateArguments,
  flags: CreateFlags,
  verb: "run" | "create",
): Promise<void> {
  const app = appOf(session, flags);
  if (app === undefined) {
    const given = command.find((word) => /^(?:-a|--app)(?:$|=)/.test(word));
    const where =
      given === undefined ? "" : ` (${given} stands behind the program's first word: it is the program's)`;
    throw new UsageError(
      `Which app? Name it with -a${where}; hover app list shows them, hover app create NAME makes one.`,
    );
  }
  const request: CreateMachineRequest = {
    leaseTtl: undefined,
    app,
    config: machineConfig(image, command, flags),
    name: flags.name ?? "",
    region: flags.region ?? "",
    skipLaunch: verb === "create" || flags.skipLaunch === true,
    requestId: flags.requestId ?? `hover-${randomUUID()}`,
    placement: placement(flags),
  };
  const client = await machinesClient(session);
  await session.inSpan(`hover machine ${verb}`, async (span) => {
    const startedAt = performance.now();
    try {
      const response = await createWithRetry(session, client, request, span);
      const ms = performance.now() - startedAt;
      span.setMachine(response.machine?.id ?? "");
      span.end();
      show(session, response, request, span.traceId, ms);
    } catch (err) {
      if (session.signal.aborted) {
        session.say(`Interrupted; the create itself goes on. To see it: hover machine list -a ${app}`);
        session.say(`To wait for it: the same command with --request-id ${request.requestId}`);
      }
      throw err;
    }
  });
}

/** Creates, and repeats the call with the same request id when the API goes away. */
async function createWithRetry(
  session: Session,
  client: MachinesServiceClient,
  request: CreateMachineRequest,
  span: RootSpan,
): Promise<CreateMachineResponse> {
  const progress = new Progress(session.terminal, session.json);
  const ended = new AbortController();
  const following = followCreate(session, client, request.requestId, progress, ended.signal);
  const deadline = performance.now() + TIMEOUT_MS;
  let goneSince: number | undefined;
  try {
    for (let attempt = 0; ; attempt++) {
      const askedAt = performance.now();
      try {
        const options = { timeoutMs: deadline - askedAt, span };
        return await session.call(client, client.createMachine, request, options);
      } catch (err) {
        const hadReached = performance.now() - askedAt > REACHED_MS;
        // An API that never answered is not there: the error is shown at once.
        const mayRetry = attempt > 0 || hadReached || progress.hasBegun;
        if (session.signal.aborted || !mayRetry || !isConnectionLoss(err, session.settings)) throw err;
        if (hadReached) goneSince = undefined;
        goneSince ??= performance.now();
        if (performance.now() - goneSince > OUTAGE_LIMIT_MS) throw err;
        progress.note("the API does not answer; asking again with the same request id");
        await sleep(backoffMs(RETRY, attempt), session.signal);
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
  { skipLaunch, requestId }: CreateMachineRequest,
  traceId: string,
  ms: number,
): void {
  const outcome = machine && !skipLaunch ? startOutcome(machine) : { ok: true, text: "created" };
  if (!outcome.ok) session.exitCode = EXIT.failed;
  if (session.json) {
    session.printJson({
      id: machine?.id ?? null,
      machine: toJson(machine),
      repeated,
      request_id: requestId,
      trace_id: traceId,
      duration_ms: Number(ms.toFixed(3)),
    });
  } else if (machine) {
    const again = repeated ? "  (an earlier call with this request id had created it)" : "";
    const startPath = machine.lastStartPath === "" ? "" : ` (${machine.lastStartPath})`;
    session.printLines([
      `${machine.id} ${outcome.text} in ${time(ms)}${startPath}${again}`,
      `  name      ${harmless(machine.name)}`,
      `  host      ${machine.host}, region ${machine.region}`,
      ...(machine.serviceAddresses.length > 0 ? [`  address   ${addressText(machine)}`] : []),
    ]);
    session.suggest(...nextSteps(machine, outcome.ok, skipLaunch));
  }
}

function nextSteps({ id, serviceAddresses }: Machine, isOk: boolean, skipLaunch: boolean): string[] {
  if (!isOk) return [`hover machine logs ${id}`];
  if (skipLaunch) return [`hover machine start ${id}`];
  const tcp = serviceAddresses.find((address) => address.protocol === "tcp");
  return [
    ...(tcp ? [`curl http://${tcp.address}/`] : []),
    `hover machine logs ${id}`,
    `hover machine stop ${id}`,
    `hover trace ${id}`,
  ];
}
