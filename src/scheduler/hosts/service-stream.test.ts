import { expect, test } from "vitest";
import { bid } from "../../../test/support/scheduler/fixture.ts";
import type { AttachResponse } from "../../gen/windhover/scheduler/v1/attach.ts";
import { Fault } from "../../lib/faults/fault.ts";
import type { Wire } from "../../lib/grpc/wire.ts";
import { WireStream } from "./service-stream.ts";

const BID = bid();
const TERMS = { holdMs: 5_000, windowMs: 150, traceparent: "" };

/** A wire whose peer reads as much as it is told to. */
class FakeWire implements Wire<AttachResponse> {
  readonly sent: AttachResponse["message"][] = [];
  readonly ends: (Fault | undefined)[] = [];
  /** Messages it takes before the peer is behind. */
  room = Number.POSITIVE_INFINITY;

  send(message: AttachResponse): boolean {
    this.sent.push(message.message);
    return --this.room > 0;
  }

  end(): void {
    this.ends.push(undefined);
  }

  fail(fault: Fault): void {
    this.ends.push(fault);
  }
}

/** A stream whose wire takes nothing any more. */
function behind() {
  const wire = new FakeWire();
  const stream = new WireStream(wire);
  wire.room = 1;
  stream.sendBid(BID, TERMS);
  wire.sent.length = 0;
  return { wire, stream };
}

test("sends at once", () => {
  const wire = new FakeWire();
  const stream = new WireStream(wire);

  expect(stream.sendBid(BID, TERMS)).toBe(true);
  expect(stream.sendRelease("a")).toBe(true);

  expect(wire.sent).toMatchObject([
    { $case: "bidRequest", value: { reservationId: BID.reservationId } },
    { $case: "holdRelease", value: { reservationIds: ["a"] } },
  ]);
});

test("queues messages while the host is behind, in order, and joins releases in a row", () => {
  const { wire, stream } = behind();
  stream.sendRelease("a");
  stream.sendRelease("b");
  stream.sendBid(BID, TERMS);
  stream.sendRelease("c");
  expect(wire.sent).toEqual([]);

  wire.room = Number.POSITIVE_INFINITY;
  stream.drained();

  expect(wire.sent).toMatchObject([
    { $case: "holdRelease", value: { reservationIds: ["a", "b"] } },
    { $case: "bidRequest" },
    { $case: "holdRelease", value: { reservationIds: ["c"] } },
  ]);
});

test("sends no more than there is room for when the host reads again", () => {
  const { wire, stream } = behind();
  for (let i = 0; i < 5; i++) stream.sendBid(BID, TERMS);

  wire.room = 2;
  stream.drained();
  expect(wire.sent).toHaveLength(2);

  wire.room = Number.POSITIVE_INFINITY;
  stream.drained();
  expect(wire.sent).toHaveLength(5);
});

test("keeps no more than its bound for a host that does not read", () => {
  const { stream } = behind();
  let taken = 0;
  while (stream.sendBid(BID, TERMS)) taken++;

  expect(taken).toBe(2_048);
  expect(stream.sendRelease("r1")).toBe(false);
});

test("one release message carries no more than so many reservations", () => {
  const { wire, stream } = behind();
  for (let i = 0; i < 1_025; i++) stream.sendRelease(`r${i}`);

  wire.room = Number.POSITIVE_INFINITY;
  stream.drained();

  expect(wire.sent).toHaveLength(2);
  expect(wire.sent[0]).toHaveProperty("value.reservationIds.length", 1_024);
  expect(wire.sent[1]).toHaveProperty("value.reservationIds.length", 1);
});

test("ends with its fault once, drops what is left, and takes nothing more", () => {
  const { wire, stream } = behind();
  const fault = new Fault("ABORTED", "HOST_REPLACED", "attached again");
  stream.sendBid(BID, TERMS);

  stream.end(fault);
  stream.close();
  stream.drained();

  expect(wire.ends).toEqual([fault]);
  expect(wire.sent).toEqual([]);
  expect(stream.sendBid(BID, TERMS)).toBe(false);
  expect(stream.sendRelease("r1")).toBe(false);
});

test("ends without a fault when it is closed", () => {
  const wire = new FakeWire();
  new WireStream(wire).close();

  expect(wire.ends).toEqual([undefined]);
});
