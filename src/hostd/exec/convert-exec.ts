import type { ExecMachineRequest, ExecStart, TerminalSize } from "../../gen/windhover/machines/v1/exec.ts";
import { invalid } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { mapFromProto } from "../../lib/grpc/messages/maps.ts";
import { signalNumber } from "../../lib/signals/signals.ts";
import { type MachineId, machineId } from "../machines/machine.ts";
import type { ExecRequest } from "../vmm/exec.ts";

/** A command to run. */
export interface ExecOrder {
  readonly id: MachineId;
  readonly request: ExecRequest;
  readonly timeoutMs: number | undefined;
  readonly leaseNonce: string;
}

/** Input of a command that runs. */
export type ExecInput =
  | { readonly kind: "stdin"; readonly bytes: Buffer }
  | { readonly kind: "end" }
  | { readonly kind: "resize"; readonly size: TerminalSize }
  | { readonly kind: "signal"; readonly signal: number };

const MIN_TIMEOUT_MS = 1_000;
const MAX_TIMEOUT_MS = 24 * 60 * 60_000;
const MAX_ARGS = 4_096;
const MAX_VARIABLES = 1_024;
/** Command, variables, user and directory together. The kernel takes 128 KiB per argument. */
const MAX_BYTES = 128 * 1_024;
const MAX_TEXT = 4_096;
const MAX_TERMINAL = 1_000;

/** Converts the first request. @throws Fault INVALID_FIELDS with all violations */
export function orderFromProto(request: ExecMachineRequest | undefined): ExecOrder {
  const violations = new Violations();
  const id = violations.collect(() => machineId(request?.machineId ?? ""));
  const start = request?.message?.$case === "start" ? request.message.value : undefined;
  violations.check(start !== undefined, "start", "is required in the first request");
  const order = start && orderOf(start, violations);
  if (violations.any || !id || !order) throw violations.fault();
  return { id, ...order };
}

function orderOf(start: ExecStart, violations: Violations): Omit<ExecOrder, "id"> {
  const { command, terminal, stdin, user, workingDir, leaseNonce } = start;
  const env = mapFromProto(start.env);
  checkCommand(command, violations);
  checkEnv(env, violations);
  for (const [field, text] of [
    ["user", user],
    ["working_dir", workingDir],
  ] as const) {
    violations.check(
      isText(text) && text.length <= MAX_TEXT,
      `start.${field}`,
      `must be a text of at most ${MAX_TEXT} bytes`,
    );
  }
  const isPath = workingDir === "" || workingDir.startsWith("/");
  violations.check(isPath, "start.working_dir", "must be absolute");
  const size = terminal && violations.collect(() => sizeFromProto(terminal, "start.terminal"));
  const timeoutMs = durationFromProto(start.timeout);
  const isTime = timeoutMs === undefined || (timeoutMs >= MIN_TIMEOUT_MS && timeoutMs <= MAX_TIMEOUT_MS);
  violations.check(isTime, "start.timeout", "must be 1 s to 24 h");
  const bytes = [...command, ...Object.entries(env).flat()].reduce(
    (sum, text) => sum + Buffer.byteLength(text) + 1,
    0,
  );
  violations.check(
    bytes <= MAX_BYTES,
    "start.command",
    `and the variables must have at most ${MAX_BYTES} bytes`,
  );
  const request = {
    ...{ argv: command, env, stdin },
    ...(user === "" ? {} : { user }),
    ...(workingDir === "" ? {} : { workingDir }),
    ...(size ? { terminal: size } : {}),
  };
  return { request, timeoutMs, leaseNonce };
}

function checkCommand(command: readonly string[], violations: Violations): void {
  violations.check(command.length > 0 && command[0] !== "", "start.command", "must name a program");
  violations.check(command.length <= MAX_ARGS, "start.command", `must have at most ${MAX_ARGS} entries`);
  for (const [index, arg] of command.slice(0, MAX_ARGS).entries())
    violations.check(isText(arg), `start.command[${index}]`, "must not have a zero byte");
}

function checkEnv(env: Readonly<Record<string, string>>, violations: Violations): void {
  const entries = Object.entries(env);
  violations.check(
    entries.length <= MAX_VARIABLES,
    "start.env",
    `must have at most ${MAX_VARIABLES} entries`,
  );
  for (const [name, value] of entries.slice(0, MAX_VARIABLES)) {
    const isSound = name !== "" && !name.includes("=") && isText(name) && isText(value);
    violations.check(isSound, `start.env[${name}]`, "must have a name without = and no zero byte");
  }
}

/** Converts a later request. @throws Fault INVALID_FIELDS */
export function inputFromProto(
  { machineId: id, message }: ExecMachineRequest,
  order: ExecOrder,
): ExecInput | undefined {
  if (id !== "" && id !== order.id) throw wrong("machine_id", "must not change");
  switch (message?.$case) {
    case "start":
      throw wrong("start", "is for the first request only");
    case "stdin":
      if (!order.request.stdin) throw wrong("stdin", "needs start.stdin in the first request");
      return { kind: "stdin", bytes: message.value };
    case "stdinEnd":
      return message.value ? { kind: "end" } : undefined;
    case "resize":
      if (!order.request.terminal) throw wrong("resize", "needs start.terminal in the first request");
      return { kind: "resize", size: sizeFromProto(message.value, "resize") };
    case "signal": {
      const signal = signalNumber(message.value);
      if (signal === undefined) throw wrong("signal", "must be a signal of Linux, e.g. SIGINT");
      return { kind: "signal", signal };
    }
    default:
      return undefined;
  }
}

function sizeFromProto({ rows, columns }: TerminalSize, field: string): TerminalSize {
  const violations = new Violations();
  for (const [name, value] of Object.entries({ rows, columns })) {
    const isSize = value >= 1 && value <= MAX_TERMINAL;
    violations.check(isSize, `${field}.${name}`, `must be 1 to ${MAX_TERMINAL}`);
  }
  violations.throwIfAny();
  return { rows, columns };
}

function isText(text: string): boolean {
  return !text.includes("\0");
}

function wrong(field: string, description: string) {
  return invalid([{ field, description }]);
}
