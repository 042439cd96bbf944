import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Qmp } from "./qmp.ts";
import { connectIn } from "./unix-socket.ts";

let dir = "";
let server: Server;
let answer: (command: { execute: string; id: number }, socket: Socket) => void;
beforeEach(async () => {
  // Longer than any unix socket's path may be.
  dir = mkdtempSync(join(tmpdir(), `wh-qmp-${"x".repeat(120)}-`));
  answer = ({ id }, socket) => socket.write(`${JSON.stringify({ return: {}, id })}\n`);
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`${JSON.stringify({ QMP: { version: {} } })}\r\n`);
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) answer(JSON.parse(line), socket);
    });
  });
  const short = mkdtempSync(join(tmpdir(), "wh-"));
  rmSync(short, { recursive: true });
  symlinkSync(dir, short);
  await new Promise<void>((resolve) => server.listen(join(short, "qmp.sock"), resolve));
  rmSync(short);
});
afterEach(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const open = async (): Promise<Qmp> => Qmp.open(await connectIn(dir, "qmp.sock"), 15_000);

describe("QEMU's monitor", () => {
  test("gives each command its own answer, in whatever order they come", async () => {
    const qmp = await open();
    const held: (() => void)[] = [];
    answer = ({ execute, id }, socket) => {
      held.push(() => socket.write(`${JSON.stringify({ return: execute, id })}\n`));
      if (held.length === 2) for (const say of held.reverse()) say();
    };

    expect(await Promise.all([qmp.execute("one"), qmp.execute("two")])).toEqual(["one", "two"]);
    qmp.close();
  });

  test("passes on a refusal, keeps events, and skips what makes no sense", async () => {
    const qmp = await open();
    answer = ({ id }, socket) => {
      socket.write(
        'nonsense\n{"event":"SHUTDOWN","data":{"reason":"guest-reset"}}\n{"return":{},"id":999}\n',
      );
      socket.write(`${JSON.stringify({ error: { class: "GenericError", desc: "no such device" }, id })}\n`);
    };

    await expect(qmp.execute("eject")).rejects.toMatchObject({
      name: "QmpError",
      errorClass: "GenericError",
    });
    expect(qmp.events).toEqual([{ name: "SHUTDOWN", data: { reason: "guest-reset" } }]);
    qmp.close();
  });

  test("has a deadline for each command", async () => {
    const qmp = await open();
    answer = () => {};

    await expect(qmp.execute("stop", {}, 20)).rejects.toThrow("no answer within 20 ms");
    qmp.close();
  });

  test("fails all that waits when QEMU ends, and all that comes after", async () => {
    const qmp = await open();
    answer = (_command, socket) => socket.destroy();

    await expect(qmp.execute("quit")).rejects.toThrow("closed its monitor");
    await qmp.closed;
    await expect(qmp.execute("cont")).rejects.toThrow("closed its monitor");
  });

  test("is dropped when it talks without end", async () => {
    const qmp = await open();
    answer = (_command, socket) => socket.write(Buffer.alloc(2 * 1024 * 1024, "x"));

    await expect(qmp.execute("query")).rejects.toThrow("closed its monitor");
  });
});

test("a link in the place of a socket is not followed", async () => {
  symlinkSync("qmp.sock", join(dir, "agent.sock"));

  await expect(connectIn(dir, "agent.sock")).rejects.toThrow("agent.sock is no socket");
});
