import { expect, test } from "vitest";
import { Fault } from "../../../lib/faults/fault.ts";
import { faultFromData, faultToData } from "./fault-data.ts";

test("faults survive being stored, and what is not a fault tells nothing", () => {
  const fault = new Fault(
    "NOT_FOUND",
    "X",
    "message",
    { a: "b" },
    { violations: [{ field: "f", description: "d" }] },
  );

  expect(faultFromData(faultToData(fault))).toMatchObject({
    code: "NOT_FOUND",
    reason: "X",
    message: "message",
    facts: { a: "b" },
  });
  expect(faultFromData(faultToData(fault)).violations).toEqual(fault.violations);
  expect(faultToData(new Error("secret"))).toMatchObject({
    code: "INTERNAL",
    message: expect.not.stringContaining("secret"),
  });
});
