import { describe, expect, test } from "vitest";
import type { ExecOutput, ExecSession } from "../../../exec.ts";
import { INPUT_WINDOW, readExecMessage } from "../../guest-protocol/exec-messages.ts";
import { decodeFrame } from "../../guest-protocol/frame.ts";
import { MESSAGE, numbersOf, TAG } from "../../guest-protocol/protocol.ts";
import { readFields, TlvWriter } from "../../guest-protocol/tlv.ts";
import { OUTPUT_WINDOW } from "./exec-session.ts";
import { ExecSessions } from "./exec-sessions.ts";
import { readProcesses } from "./read-processes.ts";

const NEVER = new AbortController().signal;
const REQUEST = { argv: ["x"], env: {}, stdin: true };

/** A guest that does as it is told by the test. */
class Guest {
  readonly got: { type: number; body: Buffer }[] = [];
  readonly execs = new ExecSessions((encoded) => {
    const frame = decodeFrame(encoded.subarray(0, -1));
    if (frame) this.got.push(frame);
  });

  /** The id of the last command. */
  get id(): bigint {
    const last = this.got.findLast(({ type }) => type === MESSAGE.exec || type === MESSAGE.list);
    for (const { tag, value } of readFields(last?.body ?? Buffer.alloc(0)))
      if (tag === TAG.exec) return value.readBigUInt64LE();
    return 0n;
  }

  say(type: number, fill: (body: TlvWriter) => TlvWriter, id = this.id): void {
    const body = fill(new TlvWriter().putU64(TAG.exec, id)).finish();
    const message = readExecMessage({ type, body });
    if (message) this.execs.received(message);
  }

  output(size: number, stream = 1): void {
    this.say(MESSAGE.execOutput, (body) =>
      body.put(TAG.stream, Buffer.of(stream)).put(TAG.data, Buffer.alloc(size, "x")),
    );
  }

  async start(): Promise<ExecSession> {
    const starting = this.execs.run(REQUEST, NEVER);
    this.say(MESSAGE.execStarted, (body) => body.putU64(TAG.pid, 7n));
    return await starting;
  }

  exit(code: number): void {
    this.say(MESSAGE.execEnded, (body) => body.putU64(TAG.exitCode, BigInt(code)));
  }

  count(type: number): number {
    return this.got.filter((frame) => frame.type === type).length;
  }

  sum(type: number, tag: number): number {
    return this.got
      .filter((frame) => frame.type === type)
      .reduce((sum, { body }) => sum + (numbersOf(body).get(tag) ?? 0), 0);
  }
}

async function sizeOf(session: ExecSession): Promise<number> {
  let size = 0;
  for await (const { bytes } of session.output) size += bytes.length;
  return size;
}

describe("the host's end of a command", () => {
  test("has its process id, its output and its exit code", async () => {
    const guest = new Guest();
    const session = await guest.start();
    guest.output(1_000);
    guest.exit(3);

    expect(session.pid).toBe(7);
    expect(await sizeOf(session)).toBe(1_000);
    expect(await session.ended).toEqual({ kind: "exit", code: 3 });
  });

  test("grants the guest as much output as its reader has taken", async () => {
    const guest = new Guest();
    const session = await guest.start();
    for (let i = 0; i < 8; i++) guest.output(OUTPUT_WINDOW / 8);
    expect(guest.count(MESSAGE.execCredit)).toBe(0);

    const output = session.output[Symbol.asyncIterator]();
    for (let i = 0; i < 8; i++) await output.next();
    const waiting = output.next();
    await expect.poll(() => guest.sum(MESSAGE.execCredit, TAG.credit)).toBe(OUTPUT_WINDOW);
    guest.exit(0);

    expect((await waiting).done).toBe(true);
  });

  test("joins what is written byte by byte while nobody reads it", async () => {
    const guest = new Guest();
    const session = await guest.start();
    for (let i = 0; i < 10_000; i++) guest.output(1, 1 + (i % 2));
    guest.exit(0);

    const parts: ExecOutput[] = [];
    for await (const part of session.output) parts.push(part);

    const bytesOf = (name: string) =>
      parts.filter(({ stream }) => stream === name).reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect([bytesOf("stdout"), bytesOf("stderr")]).toEqual([5_000, 5_000]);
    expect(parts.length).toBeLessThan(100);
  });

  test("sends no more input than the guest has room for, and goes on when it has more", async () => {
    const guest = new Guest();
    const session = await guest.start();
    let isWritten = false;
    const writing = session.write(Buffer.alloc(INPUT_WINDOW * 2)).then(() => {
      isWritten = true;
    });
    await Promise.resolve();
    const sent = () =>
      guest.got
        .filter(({ type }) => type === MESSAGE.execInput)
        .reduce((sum, { body }) => sum + body.length - 20, 0);
    expect(sent()).toBe(INPUT_WINDOW);
    expect(isWritten).toBe(false);

    // It may not grant more than there is.
    guest.say(MESSAGE.execTaken, (body) => body.putU64(TAG.credit, 1_000_000n));
    await writing;

    expect(sent()).toBe(INPUT_WINDOW * 2);
  });

  test("takes no more input when the command has ended", async () => {
    const guest = new Guest();
    const session = await guest.start();
    const writing = session.write(Buffer.alloc(INPUT_WINDOW * 2));
    guest.exit(0);

    await writing;
    session.endInput();

    expect(await session.ended).toEqual({ kind: "exit", code: 0 });
  });

  test("is killed when its reader leaves", async () => {
    const guest = new Guest();
    const session = await guest.start();
    guest.output(10);
    for await (const _ of session.output) break;

    expect(guest.count(MESSAGE.execKill)).toBe(1);
    guest.say(MESSAGE.execEnded, (body) => body.putU64(TAG.exitSignal, 9n));
    expect(await session.ended).toEqual({ kind: "signal", signal: 9 });
  });

  test("is interrupted when the channel closes", async () => {
    const guest = new Guest();
    const session = await guest.start();
    guest.output(10);
    guest.execs.close("gone");

    expect(await sizeOf(session)).toBe(10);
    expect(await session.ended).toEqual({ kind: "interrupted", detail: "gone" });
  });

  test("kills a command that is no longer wanted before it runs", async () => {
    const guest = new Guest();
    const abort = new AbortController();
    const starting = guest.execs.run(REQUEST, abort.signal);
    abort.abort(new Error("enough"));

    await expect(starting).rejects.toThrow("enough");
    expect(guest.count(MESSAGE.execKill)).toBe(1);
  });
});

describe("a hostile guest", () => {
  test("that sends more output than it was granted loses the command", async () => {
    const guest = new Guest();
    const session = await guest.start();
    guest.output(OUTPUT_WINDOW);
    guest.output(1);

    expect(await session.ended).toEqual({ kind: "interrupted", detail: "the guest sent more than it may" });
    expect(guest.count(MESSAGE.execKill)).toBe(1);
  });

  test("is not heard about commands that do not exist, or no longer", async () => {
    const guest = new Guest();
    const session = await guest.start();
    const { id } = guest;
    guest.say(MESSAGE.execEnded, (body) => body.putU64(TAG.exitCode, 1n), id + 1n);
    guest.exit(0);
    guest.say(MESSAGE.execOutput, (body) => body.put(TAG.data, Buffer.from("late")), id);
    guest.say(MESSAGE.execEnded, (body) => body.putU64(TAG.exitCode, 1n), id);

    expect(await sizeOf(session)).toBe(0);
    expect(await session.ended).toEqual({ kind: "exit", code: 0 });
  });

  test("may give codes and texts of any size", async () => {
    const guest = new Guest();
    const starting = guest.execs.run(REQUEST, NEVER);
    const detail = Buffer.alloc(100_000, 0xff);
    guest.say(MESSAGE.execEnded, (body) =>
      body
        .put(TAG.failedStep, Buffer.of(250))
        .putU64(TAG.errno, 2n ** 63n)
        .put(TAG.detail, detail),
    );
    await expect(starting).rejects.toMatchObject({ kind: "lost" });

    const session = await guest.start();
    guest.say(MESSAGE.execEnded, (body) => body.putU64(TAG.exitCode, 65_539n));
    expect(await session.ended).toEqual({ kind: "exit", code: 3 });
  });

  test("may list any number of processes with any fields, of which those that make sense are kept", () => {
    const body = new TlvWriter().put(TAG.command, "of nobody");
    body.putU64(TAG.pid, 2n ** 63n).put(TAG.command, "too large an id");
    for (let pid = 5_000; pid > 0; pid--) body.putU64(TAG.pid, BigInt(pid));
    body.putU64(TAG.pid, 1n).put(TAG.command, Buffer.alloc(1_000_000));
    const some = new TlvWriter()
      .putU64(TAG.pid, 3n)
      .put(TAG.command, Buffer.alloc(5_000, "y"))
      .put(TAG.parent, "bad length");
    for (let port = 1; port < 200; port++)
      some.put(TAG.socket, `tcp 0.0.0.0:${port}`).put(TAG.socket, "sctp x");

    expect(readProcesses(body.finish())).toHaveLength(4_095);
    const [process] = readProcesses(some.finish());
    expect(process).toMatchObject({ pid: 3, parentPid: 0 });
    expect([process?.command.length, process?.sockets.length]).toEqual([1_024, 64]);
    expect(readProcesses(Buffer.alloc(64, 0xff))).toEqual([]);
  });
});

test("a list of processes is cut short when its caller has gone", async () => {
  const guest = new Guest();
  const abort = new AbortController();
  const listing = guest.execs.list(abort.signal);
  abort.abort(new Error("enough"));

  await expect(listing).rejects.toThrow("enough");
  expect(guest.count(MESSAGE.execKill)).toBe(1);
});
