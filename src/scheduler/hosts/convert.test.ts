import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { HostInfo, Status } from "../../gen/windhover/scheduler/v1/host.ts";
import { AttachedHost } from "./attached-host.ts";
import { hostInfoFromProto, hostToProto, statusFromProto } from "./convert.ts";

const HELLO = HostInfo.fromPartial({
  ...{ number: 1, name: "ord-1", identity: "i", region: "ord", address: "127.0.0.1:7101" },
  capacity: { cpus: 8, memoryMb: 4_096n, diskMb: 10_240n },
});

test.each([
  ["how full its disk is", { diskFreeMb: 300n, diskReserveMb: 1_024n }],
  ["that its disk is full", { diskFreeMb: 0n, diskReserveMb: 1n }],
  ["nothing of its disk", {}],
])("a host that sends %s is shown so", (_what, disk) => {
  const stream = { sendBid: () => true, sendRelease: () => true, end: () => {} };
  const host = new AttachedHost(hostInfoFromProto(HELLO, "ord"), stream, new ManualClock(), () => {});
  host.status = statusFromProto(Status.fromPartial(disk));

  const { status } = hostToProto(host, undefined);

  expect([status?.diskFreeMb, status?.diskReserveMb]).toEqual([
    "diskFreeMb" in disk ? disk.diskFreeMb : undefined,
    "diskReserveMb" in disk ? disk.diskReserveMb : undefined,
  ]);
});

test("a host whose outbox is stalled is shown so", () => {
  const stream = { sendBid: () => true, sendRelease: () => true, end: () => {} };
  const host = new AttachedHost(hostInfoFromProto(HELLO, "ord"), stream, new ManualClock(), () => {});
  const stalled = { outboxStalledS: 70n, outboxEvents: 180n };
  host.status = statusFromProto(Status.fromPartial(stalled));

  const { status } = hostToProto(host, undefined);

  expect(status).toMatchObject(stalled);
});
