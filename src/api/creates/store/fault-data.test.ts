import { expect, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import { faultFromData, faultToData } from "./fault-data.ts";

test("faults survive being stored, and what is not a fault tells nothing", () => {
  const fault = new Fault(
    "NOT_FOUND",
    "X",
    "message",
    { a: "b" },
    { violations: [{ field: "f", description: "d" }], retryAfterMs: 3_600_000 },
  );

  expect(faultFromData(faultToData(fault))).toMatchObject({
    code: "NOT_FOUND",
    reason: "X",
    message: "message",
    facts: { a: "b" },
    retryAfterMs: 3_600_000,
  });
  expect(faultFromData(faultToData(fault)).violations).toEqual(fault.violations);
  expect(faultToData(new Error("secret"))).toMatchObject({
    code: "INTERNAL",
    message: expect.not.stringContaining("secret"),
  });
});

test("no more of a fault is stored than its caller may hear", () => {
  const facts = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, "x".repeat(10_000)]));
  const violations = Array.from({ length: 100 }, () => ({ field: "f", description: "x".repeat(10_000) }));

  const data = faultToData(new Fault("NOT_FOUND", "X", "x".repeat(100_000), facts, { violations }));

  expect(JSON.stringify(data).length).toBeLessThan(40_000);
  expect(data).toMatchObject({ code: "NOT_FOUND", reason: "X" });
});
