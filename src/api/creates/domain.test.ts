import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Fault } from "../../lib/runtime/fault.ts";
import { refusal } from "../orgs/quota.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "../requests/page-token.ts";
import { faultData, toFault } from "./fault-data.ts";

describe("quota", () => {
  const org = { slug: "o", standing: "good", quota: { machines: 2, memoryMb: 1_024 } } as const;

  test.each([
    [{ machines: 0, memoryMb: 0 }, 1_024, undefined],
    [{ machines: 1, memoryMb: 512 }, 512, undefined],
    [{ machines: 2, memoryMb: 0 }, 256, "QUOTA_MACHINES"],
    [{ machines: 1, memoryMb: 512 }, 513, "QUOTA_MEMORY"],
  ])("with %j used and %d MB asked for is %s", (used, memoryMb, reason) => {
    expect(refusal({ ...org, used }, memoryMb)?.reason).toBe(reason);
  });

  test.each([
    ["past_due", "ORG_PAST_DUE"],
    ["banned", "ORG_BANNED"],
  ] as const)("is not spoken of to one that is %s", (standing, reason) => {
    expect(refusal({ ...org, standing, used: { machines: 9, memoryMb: 9_999 } }, 1)?.reason).toBe(reason);
  });

  it("is never exceeded by what is allowed", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2_000 })), (asked) => {
        const used = { machines: 0, memoryMb: 0 };
        for (const memoryMb of asked) {
          if (refusal({ ...org, used }, memoryMb)) continue;
          used.machines += 1;
          used.memoryMb += memoryMb;
        }
        expect(used.machines <= 2 && used.memoryMb <= 1_024).toBe(true);
      }),
    );
  });
});

describe("page tokens", () => {
  it("give their keys back, to their own list only", () => {
    const token = encodePageToken("list", ["a", "é\n"]);

    expect(decodePageToken("list", 2, token)).toEqual(["a", "é\n"]);
    expect(decodePageToken("list", 2, "")).toBeUndefined();
    expect(() => decodePageToken("other", 2, token)).toThrow("page_token");
    expect(() => decodePageToken("list", 1, token)).toThrow("page_token");
  });

  it("that nobody made are refused, whatever they are", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(() => decodePageToken("list", 1, text)).toThrow(Fault);
      }),
    );
  });

  it("come with a page only when there is more", () => {
    expect(firstPage([1, 2, 3], 2)).toEqual({ items: [1, 2], last: 2 });
    expect(firstPage([1, 2], 2)).toEqual({ items: [1, 2], last: undefined });
    expect([pageSize(0), pageSize(7), pageSize(5_000)]).toEqual([100, 7, 1_000]);
    expect(() => pageSize(-1)).toThrow("page_size");
  });
});

test("faults survive being stored, and what is not a fault tells nothing", () => {
  const fault = new Fault(
    "NOT_FOUND",
    "X",
    "message",
    { a: "b" },
    { violations: [{ field: "f", description: "d" }] },
  );

  expect(toFault(faultData(fault))).toMatchObject({
    code: "NOT_FOUND",
    reason: "X",
    message: "message",
    facts: { a: "b" },
  });
  expect(toFault(faultData(fault)).violations).toEqual(fault.violations);
  expect(faultData(new Error("secret"))).toMatchObject({
    code: "INTERNAL",
    message: expect.not.stringContaining("secret"),
  });
});
