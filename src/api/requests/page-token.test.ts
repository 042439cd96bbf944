import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "./page-token.ts";

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
