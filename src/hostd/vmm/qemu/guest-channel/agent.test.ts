import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeFrame, encodeFrame, FrameReader } from "../guest-protocol/frame.ts";
import { MESSAGE, TAG } from "../guest-protocol/protocol.ts";
import { readFields, TlvWriter } from "../guest-protocol/tlv.ts";
import { Agent } from "./agent.ts";
import { COST, TokenBucket } from "./token-bucket.ts";

let dir: string;
let server: Server;
let socket: Socket;
let guest: Socket;
let agent: Agent;
let frames: Buffer[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "wh-agent-"));
  server = createServer().listen(join(dir, "agent"));
  await once(server, "listening");
  const accepted = once(server, "connection");
  socket = createConnection(join(dir, "agent"));
  [guest] = await accepted;
  frames = [];
  agent = new Agent(socket);
  agent.onLines = (frame) => frames.push(frame);
  const reader = new FrameReader();
  guest.on("data", (chunk: Buffer) => {
    for (const encoded of reader.push(chunk)) answer(encoded);
  });
});
afterEach(() => {
  agent.close();
  guest.destroy();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Answers SYNC, and says of each command that it runs. */
function answer(encoded: Buffer): void {
  for (const { tag, value } of readFields(decodeFrame(encoded)?.body ?? Buffer.alloc(0))) {
    if (tag === TAG.exec)
      guest.write(encodeFrame(MESSAGE.execStarted, new TlvWriter().put(TAG.exec, value).finish()));
    if (tag !== TAG.nonce) continue;
    guest.write(encodeFrame(MESSAGE.logs, Buffer.from("of an earlier session")));
    guest.write(encodeFrame(MESSAGE.state, new TlvWriter().put(TAG.nonce, value).finish()));
  }
}

test("lines are handed on as they are encoded, once the guest has answered", async () => {
  await agent.sync(0, new AbortController().signal);
  const encoded = encodeFrame(MESSAGE.logs, Buffer.from("some lines"));

  guest.write(encoded);

  await expect.poll(() => frames).toEqual([encoded.subarray(0, -1)]);
});

test("a guest waits for the lines it has written, also for empty ones", async () => {
  await agent.sync(0, new AbortController().signal);

  agent.charge(100_000);

  expect(socket.isPaused()).toBe(true);
  await expect.poll(() => socket.isPaused(), { timeout: 20_000 }).toBe(false);
});

test("a state that is longer than any guest's own is dropped undecoded", async () => {
  await agent.sync(0, new AbortController().signal);
  const known = agent.state;
  const state = (padding: number) =>
    encodeFrame(
      MESSAGE.state,
      new TlvWriter().put(TAG.detail, "x".repeat(padding)).put(TAG.state, Buffer.of(4)).finish(),
    );

  guest.write(state(8_000));
  guest.write(encodeFrame(MESSAGE.logs, Buffer.from("behind it")));
  await expect.poll(() => frames.length).toBe(1);
  expect(agent.state).toBe(known);

  guest.write(state(80));
  await expect.poll(() => agent.state?.state).toBe("failed");
});

test("word of ports is heard once the guest has answered", async () => {
  const heard: unknown[] = [];
  agent.onListening = (ports) => heard.push(...ports);
  const listening = encodeFrame(
    MESSAGE.listening,
    new TlvWriter().put(TAG.portState, Buffer.of(80, 0, 2)).finish(),
  );
  guest.write(listening);
  await agent.sync(0, new AbortController().signal);

  guest.write(listening);

  await expect.poll(() => heard).toEqual([{ port: 80, state: "open" }]);
});

test("signals and sizes for a guest that does not read are not kept for it", async () => {
  const { signal } = new AbortController();
  await agent.sync(0, signal);
  const session = await agent.execs.run({ argv: ["x"], env: {}, stdin: false }, signal);
  guest.pause();

  for (let i = 0; i < 50_000; i++) {
    session.signal(10);
    session.resize({ rows: 24, columns: 80 });
  }

  expect(socket.writableLength).toBeLessThan(2 * 1024 * 1024);
});

test("a bucket lets a burst pass, and then its rate of cost", () => {
  const bucket = new TokenBucket(256_000, 25_600);

  expect(bucket.take(100 * COST.line, 0)).toBe(0);
  expect(bucket.take(100 * COST.line, 0)).toBe(100);
  expect(bucket.take(COST.line, 100)).toBe(1);
  expect(bucket.take(0, 10_000)).toBe(0);
});
