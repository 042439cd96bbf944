import { WebSocket } from "undici";
import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

/** What a command's WebSocket brought, and how it closed. */
interface Session {
  readonly stdout: string;
  readonly stderr: string;
  readonly messages: readonly Record<string, unknown>[];
  readonly code: number;
}

/** Commands over a WebSocket. */
export function execStreamCases(rest: () => RestFleet): void {
  describe("commands over a WebSocket", () => {
    let path: string;
    beforeAll(async () => {
      const app = await rest().app();
      const { id } = await rest().machine(app);
      path = `/v1/apps/${app}/machines/${id}/exec/stream`;
    });

    /** @param onStarted called when the command runs */
    function run(
      sent: readonly (string | Buffer | object)[],
      onStarted: (socket: WebSocket) => void = () => {},
    ): Promise<Session> {
      const headers = { authorization: `Bearer ${rest().token}` };
      const socket = new WebSocket(`${rest().url.replace("http", "ws")}${path}`, { headers });
      socket.binaryType = "arraybuffer";
      const output: [string, string] = ["", ""];
      const messages: Record<string, unknown>[] = [];
      return new Promise((resolve) => {
        socket.addEventListener("open", () => {
          for (const each of sent)
            socket.send(typeof each === "string" || Buffer.isBuffer(each) ? each : JSON.stringify(each));
        });
        socket.addEventListener("message", ({ data }) => {
          if (typeof data === "string") {
            messages.push(JSON.parse(data));
            if (messages.at(-1)?.["started"]) onStarted(socket);
            return;
          }
          const bytes = Buffer.from(data);
          const stream = (bytes[0] ?? 0) - 1;
          output[stream === 0 ? 0 : 1] += bytes.subarray(1).toString();
        });
        socket.addEventListener("close", ({ code }) => {
          resolve({ stdout: output[0], stderr: output[1], messages, code });
        });
      });
    }

    test("get standard input as binary messages, and answer with output and exit code", async () => {
      const { stdout, messages, code } = await run([
        { command: ["cat"], stdin: true },
        Buffer.from("one\n"),
        Buffer.from("two\n"),
        { stdin_end: true },
      ]);

      expect(stdout).toBe("one\ntwo\n");
      expect(messages).toMatchObject([{ started: { pid: expect.any(Number) } }, { exit: { exit_code: 0 } }]);
      expect(code).toBe(1_000);
    });

    test("that fail tell their exit code", async () => {
      expect((await run([{ command: ["false"] }])).messages.at(-1)).toEqual({
        exit: { exit_code: 1, signal: "" },
      });
    });

    test("end by a signal that is sent", async () => {
      const { messages } = await run([{ command: ["sleep", "600"] }], (socket) =>
        socket.send(JSON.stringify({ signal: "SIGKILL" })),
      );

      expect(messages.at(-1)).toMatchObject({ exit: { exit_code: 137, signal: "SIGKILL" } });
    });

    test.each([
      ["no command", { command: [] }],
      ["a member of the wrong type", { command: ["cat"], timeout: "soon" }],
      ["what is no JSON", "cat"],
    ])("of a first message with %s are refused with the envelope", async (_what, first) => {
      const { messages, code } = await run([first]);

      expect(messages).toMatchObject([{ status: "invalid_argument", error: expect.any(String) }]);
      expect(code).toBe(1_011);
    });

    test("name the wrong members of the first message as it has them", async () => {
      const { messages } = await run([{ command: [], timeout: "100h", terminal: {} }]);

      const names = String(messages[0]?.["error"]).match(/[\w.]+(?=: must)/g);
      expect(names).toEqual(["command", "terminal.rows", "terminal.columns", "timeout"]);
    });

    test("are killed when their client goes", async () => {
      await run([{ command: ["sleep", "601"] }], (socket) => socket.close());

      await expect
        .poll(async () => {
          const { json } = await rest().call("GET", path.replace("/v1", "").replace("exec/stream", "ps"));
          return json.filter(({ command }: { command: string }) => /sleep 601/.test(command)).length;
        })
        .toBe(0);
    });
  });
}
