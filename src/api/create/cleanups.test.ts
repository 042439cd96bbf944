import { expect, test } from "vitest";
import { Fault } from "../../lib/fault.ts";
import { Cleanups } from "./cleanups.ts";

const HOST = { number: 1, name: "one", address: "127.0.0.1:1" };

test("an unwanted machine is destroyed once its host answers", async () => {
  const asked: string[] = [];
  const cleanups = new Cleanups(
    {
      async destroy(_host, machineId) {
        asked.push(machineId);
        if (asked.length < 3) throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", "down");
      },
    },
    [1, 1, 1, 1, 1],
    0,
  );

  cleanups.later(HOST, "m");

  await expect.poll(() => asked.length).toBe(3);
  await cleanups.close();
  expect(asked).toEqual(["m", "m", "m"]);
});

test("closing gives up what is left, and takes nothing more", async () => {
  const asked: string[] = [];
  const destroy = async (_host: unknown, machineId: string) => void asked.push(machineId);
  const cleanups = new Cleanups({ destroy }, [60_000]);
  cleanups.later(HOST, "m");

  await cleanups.close();
  cleanups.later(HOST, "n");

  expect(asked).toEqual([]);
});

test("it is destroyed again once the hold is over that a late award would need, and not for ever", async () => {
  let asked = 0;
  const destroy = async () => {
    asked += 1;
  };
  const cleanups = new Cleanups({ destroy }, [1, 2, 5, 1, 1], 8);

  cleanups.later(HOST, "m");

  await expect.poll(() => asked).toBe(3);
  await cleanups.close();
  expect(asked).toBe(3);
});
