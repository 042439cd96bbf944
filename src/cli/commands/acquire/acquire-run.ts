import {
  type AcquireAttempt,
  type AcquireMachineRequest,
  type AcquireMachineResponse,
  AcquireServiceClient,
} from "../../../gen/windhover/machines/v1/acquire.ts";
import { durationFromProto, durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../render/json.ts";
import { type Column, table } from "../../render/table.ts";
import { span as time } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import { type AppFlag, appOf } from "../find.ts";
import type { ConfigFlags } from "../machine/config/config-flags.ts";
import { machineConfig } from "../machine/config/machine-config.ts";
import { type PlacementFlags, placement } from "../machine/config/placement.ts";
import { addressText } from "../machine/machine-text.ts";
import { readSteps, type StepFlag, stepsOf } from "./steps.ts";

/** The server's own limit. */
const DEFAULT_MS = 60_000;
/** The server keeps the timeout; this is for the network. */
const MARGIN_MS = 5_000;

export type AcquireArguments = [image: string | undefined, command: string[]];

/** The flags of `hover acquire`, besides the steps. */
export interface AcquireFlags extends AppFlag, ConfigFlags, PlacementFlags {
  readonly file?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly key?: string;
  readonly stepTimeout?: number;
  readonly deadline?: number;
  readonly hedgeAfter?: number;
}

export async function runAcquire(
  session: Session,
  args: AcquireArguments,
  flags: AcquireFlags,
  stepFlags: readonly StepFlag[],
): Promise<void> {
  const request = requestOf(session, args, flags, stepFlags);
  const timeoutMs = (durationFromProto(request.timeout) ?? DEFAULT_MS) + MARGIN_MS;
  const client = await session.client(AcquireServiceClient);
  await session.inSpan("hover acquire", async (span) => {
    const startedAt = performance.now();
    const answer = await session.call(client, client.acquireMachine, request, { timeoutMs, span });
    span.setMachine(answer.machine?.id ?? "");
    span.end();
    show(session, answer, span.traceId, performance.now() - startedAt);
  });
}

function requestOf(
  session: Session,
  [image, command]: AcquireArguments,
  flags: AcquireFlags,
  stepFlags: readonly StepFlag[],
): AcquireMachineRequest {
  if (flags.file !== undefined && stepFlags.length > 0)
    throw new UsageError("The steps are either in --file or in flags.");
  const file = flags.file === undefined ? undefined : readSteps(flags.file);
  const steps = stepsOf(stepFlags, {
    app: appOf(session, flags),
    labels: flags.label,
    timeoutMs: flags.stepTimeout,
    placement: placement(flags),
    config: () => machineConfig(image, command, flags),
  });
  if (file === undefined && steps.length === 0)
    throw new UsageError("Which steps? Give --start, --start-any or --launch, or --file.");
  return {
    steps: file?.steps ?? steps,
    key: flags.key ?? file?.key ?? "",
    timeout: durationToProto(flags.deadline) ?? file?.timeout,
    hedgeAfter: durationToProto(flags.hedgeAfter) ?? file?.hedgeAfter,
  };
}

const COLUMNS: readonly Column[] = [
  { title: "STEP", align: "right" },
  { title: "OUTCOME" },
  { title: "MACHINE" },
  { title: "TOOK", align: "right" },
  { title: "WHY", min: 20 },
];

function show(session: Session, answer: AcquireMachineResponse, traceId: string, ms: number): void {
  const { machine, step, repeated, attempts } = answer;
  if (session.json) {
    // Not through toJson as a whole, which knows other fields of the name `step`.
    const json = { machine: toJson(machine), step, repeated, attempts: attempts.map((each) => toJson(each)) };
    session.printJson({ id: machine?.id ?? null, ...json, trace_id: traceId });
    return;
  }
  const again = repeated ? "  (an earlier call with this key had started it)" : "";
  const reach = machine && machine.serviceAddresses.length > 0 ? `, ${addressText(machine)}` : "";
  session.printLines([`${machine?.id ?? "-"} started in ${time(ms)} by step ${step + 1}${reach}${again}`]);
  if (attempts.length > 1) session.say(table(COLUMNS, attempts.map(row), session.terminal.width).join("\n"));
}

function row({ step, outcome, machineId, duration, reason, message }: AcquireAttempt): string[] {
  const why = reason === "" ? message : `${message} (${reason})`;
  return [String(step + 1), outcome, machineId || "-", time(durationFromProto(duration) ?? 0), why];
}
