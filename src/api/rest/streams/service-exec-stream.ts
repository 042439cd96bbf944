import type { WebSocket } from "ws";
import { z } from "zod";
import {
  ExecMachineRequest,
  type ExecMachineResponse,
  ExecServiceService,
} from "../../../gen/windhover/machines/v1/exec.ts";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import type { LocalCall } from "../../../lib/grpc/server/local/local-call.ts";
import { asFault } from "../../../lib/grpc/status.ts";
import { withoutPrefix } from "../../exec/service-run-command.ts";
import { parseDuration } from "../convert/duration.ts";
import { duration, flag, integer, object, signal, text, textMap, texts } from "../convert/fields.ts";
import { isObject, type JsonObject } from "../convert/json.ts";
import { read } from "../convert/read.ts";
import { errorAnswer } from "../errors/answer.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { type RestRequest, type Route, route } from "../requests/route.ts";
import { Messages } from "./messages.ts";

/** The first byte of a binary message says what it carries, as in the protocol of Kubernetes. */
const STDOUT = 1;
const STDERR = 2;
/** Close codes of a WebSocket: normal, and after an error message. */
const NORMAL = 1_000;
const FAILED = 1_011;
const START_MS = 10_000;

const size = { rows: integer(1, 1_000), columns: integer(1, 1_000) };

const startSchema = z.looseObject({
  command: texts().describe("Program and arguments. Required."),
  terminal: object(size).describe("Gives it a terminal of this size."),
  stdin: flag().describe("Whether standard input follows, as binary messages."),
  timeout: duration(),
  env: textMap(),
  user: text(),
  working_dir: text(),
  lease_nonce: text("The same as the header `fly-machine-lease-nonce`."),
});

const controlSchema = z.looseObject({
  resize: object(size),
  signal: signal(),
  stdin_end: flag(),
});

export const execStreamRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/apps/:app/machines/:id/exec/stream",
    tag: "Streams",
    summary: "Runs a command over a WebSocket, with standard input and, if asked for, a terminal.",
    description:
      'The first message is JSON: what to run. Then binary messages are standard input; JSON messages are `{"resize":{"rows":24,"columns":80}}`, `{"signal":"SIGINT"}` and `{"stdin_end":true}`. The server sends `{"started":{"pid":7}}`, output as binary messages whose first byte is 1 (stdout) or 2 (stderr), and at the end `{"exit":{"exit_code":0,"signal":""}}` or an error as other routes answer it.',
    rpc: ExecServiceService.execMachine,
    timeoutMs: TIMEOUT_MS.none,
    body: startSchema,
    status: 101,
    handle() {
      throw new Fault("INVALID_ARGUMENT", "UPGRADE_REQUIRED", "this route needs a WebSocket");
    },
    webSocket: serve,
  }),
];

type Exec = RestRequest<ExecMachineRequest, ExecMachineResponse, z.ZodObject, typeof startSchema>;

async function serve(
  request: Exec,
  call: LocalCall<ExecMachineRequest, ExecMachineResponse>,
  socket: WebSocket,
): Promise<void> {
  const messages = new Messages(socket);
  try {
    const machineId = await request.machineId();
    const responses = call.duplex(requests(messages, machineId, request.leaseNonce));
    for await (const response of responses) {
      if (!(await messages.send(responseToWire(response)))) break;
    }
    socket.close(NORMAL);
  } catch (err) {
    const fault = asFault(withoutPrefix(err));
    // Ends the call when it was not made.
    call.refused(fault);
    await messages.send(JSON.stringify(errorAnswer(fault).body));
    socket.close(FAILED);
  } finally {
    messages.end();
  }
}

/** Converts the messages of the client; the first one has the command. @throws Fault INVALID_FIELDS */
async function* requests(
  messages: Messages,
  machineId: string,
  leaseNonce: string,
): AsyncGenerator<ExecMachineRequest> {
  const first = await messages.next(START_MS);
  if (first === undefined)
    throw invalid([{ field: "body", description: "the first message says what to run" }]);
  yield startFromJson(parse(first), machineId, leaseNonce);
  for (;;) {
    const message = await messages.next();
    if (message === undefined) return;
    yield* typeof message === "string"
      ? controlFromJson(parse(message))
      : [ExecMachineRequest.fromPartial({ message: { $case: "stdin", value: message } })];
  }
}

function startFromJson(json: JsonObject, machineId: string, nonce: string): ExecMachineRequest {
  const start = read(startSchema, json);
  const timeoutMs = start.timeout === undefined ? 0 : parseDuration(start.timeout);
  return ExecMachineRequest.fromPartial({
    machineId,
    message: {
      $case: "start",
      value: {
        command: start.command ?? [],
        terminal: start.terminal && sizeToProto(start.terminal),
        stdin: start.stdin ?? false,
        timeout: timeoutMs === 0 ? undefined : durationToProto(timeoutMs),
        leaseNonce: start.lease_nonce || nonce,
        env: new Map(Object.entries(start.env ?? {})),
        user: start.user ?? "",
        workingDir: start.working_dir ?? "",
      },
    },
  });
}

function* controlFromJson(json: JsonObject): Generator<ExecMachineRequest> {
  const { resize, signal: name, stdin_end: isEnd } = read(controlSchema, json);
  if (resize)
    yield ExecMachineRequest.fromPartial({ message: { $case: "resize", value: sizeToProto(resize) } });
  if (name) yield ExecMachineRequest.fromPartial({ message: { $case: "signal", value: name } });
  if (isEnd) yield ExecMachineRequest.fromPartial({ message: { $case: "stdinEnd", value: true } });
}

function sizeToProto(given: { readonly rows?: number | undefined; readonly columns?: number | undefined }) {
  return { rows: given.rows ?? 0, columns: given.columns ?? 0 };
}

function responseToWire({ message }: ExecMachineResponse): string | Buffer {
  switch (message?.$case) {
    case "stdout":
      return Buffer.concat([Buffer.of(STDOUT), message.value]);
    case "stderr":
      return Buffer.concat([Buffer.of(STDERR), message.value]);
    case "started":
      return JSON.stringify({ started: { pid: message.value.pid } });
    case "exit":
      return JSON.stringify({ exit: { exit_code: message.value.exitCode, signal: message.value.signal } });
    default:
      return "{}";
  }
}

/** @throws Fault INVALID_FIELDS */
function parse(message: string | Buffer): JsonObject {
  try {
    const value: unknown = JSON.parse(message.toString());
    if (isObject(value)) return value;
  } catch {
    // Refused below.
  }
  throw invalid([{ field: "message", description: "must be a JSON object" }]);
}
