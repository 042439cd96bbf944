import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { refusal, updateRefusal } from "./organization.ts";

describe("quota", () => {
  const org = { slug: "o", standing: "good", quota: { machines: 2, memoryMb: 1_024, imageMb: 50 } } as const;

  test.each([
    [{ machines: 0, memoryMb: 0, imageMb: 0 }, 1_024, undefined],
    [{ machines: 1, memoryMb: 512, imageMb: 49 }, 512, undefined],
    [{ machines: 2, memoryMb: 0, imageMb: 0 }, 256, "QUOTA_MACHINES"],
    [{ machines: 1, memoryMb: 512, imageMb: 0 }, 513, "QUOTA_MEMORY"],
    [{ machines: 1, memoryMb: 512, imageMb: 50 }, 512, "QUOTA_IMAGES"],
    [{ machines: 1, memoryMb: 512, imageMb: 80 }, 512, "QUOTA_IMAGES"],
  ])("with %j used and %d MB asked for is %s", (used, memoryMb, reason) => {
    expect(refusal({ ...org, used }, memoryMb)?.reason).toBe(reason);
  });

  test.each([
    [{ memoryMb: 512, imageMb: 49 }, { memoryMb: 512, addsImage: true }, undefined],
    [{ memoryMb: 512, imageMb: 0 }, { memoryMb: 513, addsImage: false }, "QUOTA_MEMORY"],
    [{ memoryMb: 9_999, imageMb: 80 }, { memoryMb: 0, addsImage: false }, undefined],
    [{ memoryMb: 9_999, imageMb: 80 }, { memoryMb: -256, addsImage: true }, "QUOTA_IMAGES"],
  ])("with %j used and an update that adds %j is %s", (used, growth, reason) => {
    expect(updateRefusal({ ...org, used: { machines: 9, ...used } }, growth)?.reason).toBe(reason);
  });

  test.each([
    ["past_due", "ORG_PAST_DUE"],
    ["banned", "ORG_BANNED"],
  ] as const)("is not spoken of to one that is %s", (standing, reason) => {
    expect(
      refusal({ ...org, standing, used: { machines: 9, memoryMb: 9_999, imageMb: 99 } }, 1)?.reason,
    ).toBe(reason);
  });

  it("is never exceeded by what is allowed", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2_000 })), (asked) => {
        const used = { machines: 0, memoryMb: 0, imageMb: 0 };
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
