import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import { replicaOrder } from "./replica-order.ts";
import { Replicas } from "./replicas.ts";

createLogger("test", { write: () => {} });

const KEY = "create.1";
const ORDER = replicaOrder(KEY, ["a", "b", "c", "d"]);
const [first = "", second = "", third = ""] = ORDER;

/** Replicas of which those in `broken` cannot work; `asked` is whom they were asked through, and for how long. */
function world(addresses: readonly string[] = ORDER) {
  const clock = new ManualClock();
  const replicas = new Replicas(addresses, clock);
  const broken = new Map<string, Fault>();
  const asked: [address: string, timeoutMs: number][] = [];
  const ask = (limitMs = 10_000, takesMs = 0) =>
    replicas.call(KEY, limitMs, undefined, async (address, { timeoutMs }) => {
      asked.push([address, timeoutMs]);
      clock.advance(takesMs);
      const fault = broken.get(address);
      if (fault) throw fault;
      return address;
    });
  return { clock, broken, asked, ask };
}

const gone = new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "gone");

describe("replicas", () => {
  test("one that cannot work is passed over within the call, and left out for a while", async () => {
    const { ask, asked, broken, clock } = world();
    broken.set(first, gone);

    expect(await ask()).toBe(second);
    expect(await ask()).toBe(second);
    expect(asked.map(([address]) => address)).toEqual([first, second, second]);

    broken.clear();
    clock.advance(3_000);
    expect(await ask()).toBe(first);
  });

  test("a refusal with a reason of its own is the answer", async () => {
    const { ask, asked, broken } = world();
    broken.set(first, new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", "full"));

    await expect(ask()).rejects.toMatchObject({ reason: "NO_CAPACITY" });
    expect(asked).toHaveLength(1);
  });

  test("one without hosts has just started, and another is asked; when none has any, that is the answer", async () => {
    const { ask, asked, broken } = world([first, second]);
    const none = new Fault("UNAVAILABLE", "NO_HOSTS", "no host is attached");
    broken.set(first, none);

    expect(await ask()).toBe(second);
    broken.set(second, none);
    await expect(ask()).rejects.toBe(none);
    expect(asked.map(([address]) => address)).toEqual([first, second, second, first]);
  });

  test("at most three are asked, and the last one's reason is told", async () => {
    const { ask, asked, broken } = world();
    for (const address of ORDER) broken.set(address, gone);
    broken.set(third, new Fault("UNAVAILABLE", "SERVER_DRAINING", "draining"));

    await expect(ask()).rejects.toMatchObject({ reason: "SERVER_DRAINING" });
    expect(asked.map(([address]) => address)).toEqual([first, second, third]);
  });

  test("when all were unable, all are asked again", async () => {
    const { ask, asked, broken } = world(["a"]);
    broken.set("a", gone);

    await expect(ask()).rejects.toMatchObject({ reason: "PEER_UNAVAILABLE" });
    broken.clear();
    expect(await ask()).toBe("a");
    expect(asked).toHaveLength(2);
  });

  test("the time for all of them is the call's: a silent one gets a part of it, the last one what is left", async () => {
    const { ask, asked, broken } = world([first, second]);
    for (const address of ORDER) broken.set(address, gone);

    await expect(ask(4_000, 3_000)).rejects.toBe(gone);
    expect(asked).toEqual([
      [first, 3_000],
      [second, 1_000],
    ]);

    await expect(ask(2_000, 2_000)).rejects.toBe(gone);
    expect(asked).toHaveLength(3);
  });
});
