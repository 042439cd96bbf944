import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { API_WINDOW, MAX_API_CONNECTIONS } from "../guest-protocol/api-messages.ts";
import { decodeFrame } from "../guest-protocol/frame.ts";
import { MESSAGE, TAG } from "../guest-protocol/protocol.ts";
import { readFields, readNumber } from "../guest-protocol/tlv.ts";
import { ApiConnections } from "./api-connections.ts";

interface Sent {
  readonly type: number;
  readonly id: number;
  readonly bytes: Buffer;
  readonly credit: number;
  readonly isEnd: boolean;
}

/** A guest of which the test is the agent. */
function guest() {
  const sent: Sent[] = [];
  const opened: Duplex[] = [];
  let reads = true;
  const connections = new ApiConnections((message) => {
    const frame = decodeFrame(message.subarray(0, -1));
    if (!reads || !frame) return false;
    const fields = new Map([...readFields(frame.body)].map(({ tag, value }) => [tag, value]));
    const number = (tag: number) => readNumber(fields.get(tag) ?? Buffer.alloc(0));
    const bytes = fields.get(TAG.data) ?? Buffer.alloc(0);
    sent.push({
      ...{ type: frame.type, id: number(TAG.connection), bytes },
      ...{ credit: number(TAG.credit), isEnd: number(TAG.end) === 1 },
    });
    return true;
  });
  connections.onOpen = (connection) => opened.push(connection);
  const open = (id = 1n): Duplex => {
    connections.received({ id, kind: "open" });
    const connection = opened.at(-1);
    if (!connection) throw new Error("nobody was given the connection");
    return connection;
  };
  const input = (bytes: Buffer, isEnd = false) =>
    connections.received({ id: 1n, kind: "input", bytes, isEnd });
  const of = (type: number) => sent.filter((each) => each.type === type);
  const stopReading = (): void => {
    reads = false;
  };
  return { connections, sent, opened, open, input, of, stopReading };
}

test("passes what a process sends, and its end", async () => {
  const { open, input } = guest();
  const connection = open();
  input(Buffer.from("hello "));
  input(Buffer.from("host"), true);
  expect((await buffer(connection)).toString()).toBe("hello host");
});

test("grants more only when what came has been read", async () => {
  const { open, input, of } = guest();
  const connection = open();
  for (let sent = 0; sent < API_WINDOW; sent += 8_192) input(Buffer.alloc(8_192));
  expect(of(MESSAGE.apiCredit).reduce((sum, { credit }) => sum + credit, 0)).toBeLessThan(API_WINDOW);
  connection.resume();
  await expect
    .poll(() => of(MESSAGE.apiCredit).reduce((sum, { credit }) => sum + credit, 0))
    .toBeGreaterThanOrEqual((API_WINDOW * 3) / 4);
});

test("drops a guest's connection that sends more than it may", async () => {
  const { open, input, of } = guest();
  const connection = open();
  input(Buffer.alloc(API_WINDOW + 1));
  await expect.poll(() => connection.destroyed).toBe(true);
  expect(of(MESSAGE.apiClose)).toHaveLength(1);
});

test("sends no more than the guest has room for, and goes on when some was taken", async () => {
  const { connections, open, of } = guest();
  const connection = open();
  connection.end(Buffer.alloc(API_WINDOW + 5_000, "x"));
  const bytes = () => of(MESSAGE.apiData).reduce((sum, each) => sum + each.bytes.length, 0);
  await expect.poll(bytes).toBe(API_WINDOW);
  expect(of(MESSAGE.apiData).some(({ isEnd }) => isEnd)).toBe(false);
  connections.received({ id: 1n, kind: "taken", bytes: 5_000 });
  await expect.poll(bytes).toBe(API_WINDOW + 5_000);
  await expect.poll(() => of(MESSAGE.apiData).at(-1)?.isEnd).toBe(true);
});

test("ends a connection whose process has gone, without a message", async () => {
  const { connections, open, of } = guest();
  const connection = open();
  connections.received({ id: 1n, kind: "closed" });
  await expect.poll(() => connection.destroyed).toBe(true);
  expect(connections.size).toBe(0);
  expect(of(MESSAGE.apiClose)).toHaveLength(0);
});

test("takes no more connections than a guest may have, nor one twice", () => {
  const { connections, opened } = guest();
  for (let id = 1n; id <= MAX_API_CONNECTIONS + 5; id++) connections.received({ id, kind: "open" });
  connections.received({ id: 1n, kind: "open" });
  expect(opened).toHaveLength(MAX_API_CONNECTIONS);
});

test("keeps a slot taken until the guest says that the connection is over", async () => {
  const { connections, open, of } = guest();
  open().destroy();
  await expect.poll(() => of(MESSAGE.apiClose)).toHaveLength(1);
  expect(connections.size).toBe(1);
  connections.received({ id: 1n, kind: "closed" });
  expect(connections.size).toBe(0);
});

test("closes all connections of a guest that does not read", async () => {
  const { connections, open, stopReading } = guest();
  const first = open(1n);
  const second = open(2n);
  stopReading();
  first.write("x");
  await expect.poll(() => first.destroyed && second.destroyed).toBe(true);
  expect(connections.size).toBe(0);
});
