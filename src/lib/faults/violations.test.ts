import { expect, test } from "vitest";
import { Fault, invalid } from "./fault.ts";
import { Violations } from "./violations.ts";

test("everything that is wrong is thrown at once", () => {
  const violations = new Violations();

  violations.add("name", "is required");
  violations.add("app", undefined);
  violations.check(true, "limit", "must be positive");
  violations.check(false, "tail", "must be positive");
  const id = violations.collect(() => {
    throw invalid([{ field: "id", description: "is no id" }]);
  });

  expect(id).toBeUndefined();
  expect(violations.any).toBe(true);
  expect(() => violations.throwIfAny()).toThrow(
    expect.objectContaining({
      reason: "INVALID_FIELDS",
      message: "name: is required; tail: must be positive; id: is no id",
    }),
  );
});

test("nothing wrong throws nothing, and other errors pass through", () => {
  const violations = new Violations();
  const other = new Fault("NOT_FOUND", "GONE", "it is gone");

  expect(violations.collect(() => 1)).toBe(1);
  expect(() =>
    violations.collect(() => {
      throw other;
    }),
  ).toThrow(other);
  expect(() => violations.throwIfAny()).not.toThrow();
});
