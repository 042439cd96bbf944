import { expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { createLogger } from "../../lib/runtime/log.ts";
import { startMaintenance } from "./maintenance.ts";

const logged: string[] = [];
createLogger("test", { write: (line) => logged.push(String(JSON.parse(line)["task"])) });

const failing = (why: string) => () => {
  throw new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "try again", { why });
};

test("work of one api that takes too long is logged, and an outage of the database is not", async () => {
  const rounds: string[] = [];
  const task = (name: string, why: string, leaseMs?: number) => ({
    ...{ name, intervalMs: 1 },
    ...(leaseMs === undefined ? {} : { leaseMs }),
    run: () => {
      rounds.push(name);
      failing(why)();
    },
  });
  const stop = startMaintenance(
    [
      task("too long", "DATABASE_TIMEOUT", 1_000),
      task("outage", "DATABASE_UNAVAILABLE", 1_000),
      task("of every api", "DATABASE_TIMEOUT"),
    ],
    { acquire: async () => true },
  );

  await expect.poll(() => new Set(rounds).size).toBe(3);
  await expect.poll(() => logged).toContain("too long");
  await stop();

  expect(new Set(logged)).toEqual(new Set(["too long"]));
});
