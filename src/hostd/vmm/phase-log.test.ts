import { expect, test } from "vitest";
import { PhaseLog, wallClockUs } from "./phase-log.ts";

test("phases follow each other, and say why what was tried in one has failed", () => {
  const log = new PhaseLog();
  log.mark("vmm.claim", { size: 3 });
  log.fail("vmm.warm_failed", "no_answer");
  log.mark("vmm.spawn");

  const [claim, failed, spawn] = log.all();
  expect(claim).toMatchObject({ name: "vmm.claim", attributes: { size: 3 } });
  expect(failed).toMatchObject({ name: "vmm.warm_failed", reason: "no_answer", startUs: claim?.endUs });
  expect(spawn).toMatchObject({ name: "vmm.spawn", startUs: failed?.endUs });
  expect(spawn).not.toHaveProperty("reason");
});

test("an end before the start of its phase is moved, and the log says by how much", () => {
  const log = new PhaseLog();
  const nowUs = Math.ceil(wallClockUs());
  log.markAt("one", nowUs + 5_000);
  log.markAt("two", nowUs + 2_000);
  log.markAt("three", nowUs + 9_000);

  const [one, two] = log.all();
  expect(two).toMatchObject({ startUs: one?.endUs, endUs: one?.endUs });
  expect(log.movedUs).toBe(3_000);
});
