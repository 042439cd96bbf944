import { z } from "zod";
import { ExecServiceService, RunCommandRequest } from "../../../gen/windhover/machines/v1/exec.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { commandToJson, processToJson } from "../convert/convert-platform.ts";
import { flag, oneOf, seconds, text, textMap, texts } from "../convert/fields.ts";
import { isObject, type Json, type JsonObject } from "../convert/json.ts";
import { splitWords } from "../convert/words.ts";
import { type Route, route } from "../requests/route.ts";

const TAG = "Machines";
const MACHINE = "/v1/apps/:app/machines/:id";
const TIMEOUT_S = { usual: 60, most: 3_600 } as const;
const SORTS = ["pid", "stime", "rtime", "command", "directory", "cpu", "rss"] as const;

export const execRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: `${MACHINE}/exec`,
    tag: TAG,
    summary: "Runs a command beside the main process.",
    description: "A command that fails is a success: see `exit_code`.",
    answer: "command",
    rpc: ExecServiceService.runCommand,
    // Beyond the longest timeout of a command.
    timeoutMs: (TIMEOUT_S.most + 30) * 1_000,
    body: z.preprocess(
      withCommand,
      z.looseObject({
        command: texts().describe("Program and arguments. No shell takes part."),
        cmd: text("The same as one text, split into words as by a shell, with quotes."),
        stdin: text(),
        timeout: seconds().describe(`Seconds. Default ${TIMEOUT_S.usual}, at most ${TIMEOUT_S.most}.`),
        env: textMap(),
        user: text(),
        working_dir: text(),
        container: text("Taken, and not acted on."),
        machine: flag(),
      }),
    ),
    async handle(request) {
      const { body } = request.read();
      const command = body.command && body.command.length > 0 ? body.command : wordsOf(body.cmd);
      const done = await request.unary(
        RunCommandRequest.fromPartial({
          machineId: await request.machineId(),
          command,
          stdin: Buffer.from(body.stdin ?? ""),
          timeout: durationToProto((body.timeout || TIMEOUT_S.usual) * 1_000),
          leaseNonce: request.leaseNonce,
          env: new Map(Object.entries(body.env ?? {})),
          user: body.user ?? "",
          workingDir: body.working_dir ?? "",
        }),
      );
      return { body: commandToJson(done) };
    },
  }),
  route({
    method: "GET",
    path: `${MACHINE}/ps`,
    tag: TAG,
    summary: "Lists the processes of a machine.",
    description: "Times are milliseconds, memory is bytes.",
    answer: "processes",
    rpc: ExecServiceService.listProcesses,
    query: z.looseObject({ sort_by: oneOf(SORTS), order: oneOf(["asc", "desc"]) }),
    async handle(request) {
      const { sort_by: by = "pid", order } = request.read().query;
      const { processes } = await request.unary({ machineId: await request.machineId() });
      const rows = processes.map(processToJson).sort((a, b) => compare(a, b, by));
      return { body: order === "desc" ? rows.reverse() : rows };
    },
  }),
];

/** Takes a list in `cmd`, which some clients send, for the command. */
function withCommand(raw: unknown): unknown {
  if (!isObject(raw)) return raw;
  const { cmd, ...others } = raw;
  return Array.isArray(cmd) && !others["command"] ? { ...others, command: cmd } : raw;
}

/** @throws Fault INVALID_FIELDS */
function wordsOf(cmd: string | undefined): string[] {
  const words = splitWords(cmd ?? "");
  if (words === undefined) throw invalid([{ field: "cmd", description: "has a quote that is not closed" }]);
  if (words.length === 0) throw invalid([{ field: "command", description: "is required" }]);
  return words;
}

function compare(a: JsonObject, b: JsonObject, by: string): number {
  const [x, y]: (Json | undefined)[] = [a[by], b[by]];
  if (typeof x === "number" && typeof y === "number") return x - y;
  return String(x).localeCompare(String(y));
}
