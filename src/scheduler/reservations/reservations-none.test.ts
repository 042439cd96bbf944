import { describe, expect, test } from "vitest";
import { flushMicrotasks, setUp } from "../../../test/support/scheduler/reservations.ts";

describe("when no host offers", () => {
  test("no room is NO_CAPACITY, with what was asked, why not, and the largest that would fit", async () => {
    const { fleet, reserve } = setUp(3);
    const running = reserve();
    await flushMicrotasks();
    fleet[0]?.decline("no_cpu");
    fleet[1]?.decline("no_memory", { cpus: 2, memoryMb: 128, diskMb: 5_000 });
    fleet[2]?.decline("no_memory", { cpus: 0, memoryMb: 64, diskMb: 9_000 });

    await expect(running).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "NO_CAPACITY",
      facts: {
        hosts_asked: "3",
        declined_no_cpu: "1",
        declined_no_memory: "2",
        asked_cpus: "1",
        asked_memory_mb: "256",
        asked_disk_mb: "1024",
        largest_cpus: "2",
        largest_memory_mb: "128",
        largest_disk_mb: "5000",
      },
    });
  });

  test("no host is NO_HOSTS", async () => {
    await expect(setUp(0).reserve()).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "NO_HOSTS" });
  });

  test("hosts that do not answer are NO_HOSTS too: none has declined", async () => {
    const { time, reserve } = setUp(2);
    const running = reserve();
    await flushMicrotasks();
    time.pass(150);

    const facts = { hosts_asked: "2", declined_timeout: "2" };
    await expect(running).rejects.toMatchObject({ reason: "NO_HOSTS", facts });
  });

  test("every host excluded is NO_CAPACITY", async () => {
    const { reserve } = setUp(2);

    await expect(reserve("r1", [1, 2, 3])).rejects.toMatchObject({
      reason: "NO_CAPACITY",
      facts: { hosts_asked: "0", declined_excluded: "2" },
    });
  });

  test("hosts that have been silent lately are NO_HOSTS", async () => {
    const { time, fleet, reserve } = setUp(2);
    time.pass(15_001);

    await expect(reserve()).rejects.toMatchObject({ reason: "NO_HOSTS", facts: { hosts_attached: "2" } });
    expect(fleet.flatMap((host) => host.bids)).toEqual([]);
  });
});
