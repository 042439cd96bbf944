import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostNumberOf, MAX_HOST_NUMBER, newMachineId, parseMachineId } from "./machine-id.ts";

describe("a machine id", () => {
  it("is 14 lower-case hex digits that name its host", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_HOST_NUMBER }), fc.bigInt({ min: 0n }), (host, random) => {
        const id = newMachineId(host, random);

        expect(parseMachineId(id)).toBe(id);
        expect(hostNumberOf(id)).toBe(host);
      }),
    );
  });

  it("keeps all 36 random bits", () => {
    expect(newMachineId(1, 0xf_ffff_ffffn)).toBe("00001fffffffff");
    expect(newMachineId(0xabcde, 0x1_2345_6789n)).toBe("abcde123456789");
  });

  it.each([
    "",
    "abc",
    "ABCDE123456789",
    "abcde1234567890",
    "abcde12345678g",
    " abcde12345678",
    "abcde123456789\n",
  ])("refuses %j", (text) => {
    expect(parseMachineId(text)).toBeUndefined();
  });

  it.each([-1, 1.5, MAX_HOST_NUMBER + 1, Number.NaN])("cannot be made for host %d", (host) => {
    expect(() => newMachineId(host, 1n)).toThrow(RangeError);
  });
});
