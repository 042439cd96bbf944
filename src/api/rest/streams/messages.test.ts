import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { Messages } from "./messages.ts";

/** The part of a WebSocket that is used, which notes what is done to it. */
class FakeSocket extends EventEmitter {
  isPaused = false;
  closeCode: number | undefined;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  close(code: number): void {
    this.closeCode = code;
  }
  gets(...messages: readonly (string | Buffer)[]): void {
    for (const each of messages) this.emit("message", Buffer.from(each), typeof each !== "string");
  }
}

function open() {
  const socket = new FakeSocket();
  return { socket, messages: new Messages(socket as unknown as WebSocket) };
}

const repeat = <T>(count: number, message: T): T[] => Array.from({ length: count }, () => message);

test("small binary messages in a row are one, and empty ones are nothing", async () => {
  const { socket, messages } = open();
  socket.gets(
    "first",
    ...repeat(11_000, Buffer.alloc(0)),
    Buffer.from("a"),
    Buffer.from("b"),
    "text",
    Buffer.from("c"),
  );

  expect(socket.isPaused).toBe(false);
  expect(await messages.next()).toBe("first");
  expect(await messages.next()).toEqual(Buffer.from("ab"));
  expect(await messages.next()).toBe("text");
  expect(await messages.next()).toEqual(Buffer.from("c"));
  messages.end();
});

test("the first message is kept apart, also when it is binary", async () => {
  const { socket, messages } = open();
  socket.gets(Buffer.from('{"command":["cat"]}'), Buffer.from("in"));

  expect(await messages.next()).toBe('{"command":["cat"]}');
  expect(await messages.next()).toEqual(Buffer.from("in"));
  messages.end();
});

test("a socket is read again when its messages were taken, however many were joined", async () => {
  const { socket, messages } = open();
  socket.gets("first", ...repeat(40, Buffer.from("x")));

  expect(socket.isPaused).toBe(true);
  expect(await messages.next()).toBe("first");
  expect(socket.isPaused).toBe(true);
  expect(await messages.next()).toHaveLength(40);
  expect(socket.isPaused).toBe(false);
  messages.end();
});

test("large binary messages are not joined: they would be too large for the host", async () => {
  const { socket, messages } = open();
  socket.gets("first", Buffer.alloc(60_000), Buffer.alloc(60_000));

  await messages.next();
  expect([await messages.next(), await messages.next()].map((each) => each?.length)).toEqual([
    60_000, 60_000,
  ]);
  messages.end();
});

test("a client whose messages pile up is closed, and no more of it is kept", async () => {
  const { socket, messages } = open();
  socket.gets("first", ...repeat(11_000, "{}"));

  expect(socket.closeCode).toBe(1_008);
  expect(await messages.next()).toBeUndefined();
});
