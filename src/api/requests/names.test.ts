import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  checkAppName,
  checkMachineName,
  checkRequestId,
  checkSlug,
  checkTitle,
  makeMachineName,
} from "./names.ts";

describe("names", () => {
  test.each([
    [checkAppName, ["a", "web-1", "a".repeat(63)], ["", "-a", "1a", "a-", "A", "a".repeat(64), "a_b", "a\n"]],
    [checkMachineName, ["1", "-a-", "x".repeat(63)], ["", "A", "x".repeat(64), "a.b", "a\n"]],
    [checkSlug, ["a", "acme-2"], ["", "2acme", "Acme", "a b"]],
    [checkTitle, ["", "Société Générale", "x".repeat(200)], ["a\0", "a\nb", "\ud800", "x".repeat(201)]],
    [checkRequestId, ["A-z_0.9:x", "x".repeat(128)], ["", "a b", "x".repeat(129), "ü"]],
  ] as const)("are as the contract says (%#)", (check, fine, wrong) => {
    expect(fine.filter((name) => check(name) !== undefined)).toEqual([]);
    expect(wrong.filter((name) => check(name) === undefined)).toEqual([]);
  });

  it("that the server makes are valid", () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat({ max: 1_000_000 })), (numbers) => {
        const name = makeMachineName((below) => (numbers.next().value ?? 0) % below);
        expect(checkMachineName(name)).toBeUndefined();
      }),
    );
  });
});
