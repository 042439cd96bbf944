import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { expect, test } from "vitest";
import { privateAddress } from "./private-address.ts";

const ids = fc.stringMatching(/^[0-9a-f]{14}$/);

test("an id has one address below fdaa::/16, written as RFC 5952 says", () => {
  fc.assert(
    fc.property(ids, (id) => {
      const address = privateAddress(id);

      expect(ipaddr.IPv6.parse(address).toRFC5952String()).toBe(address);
      expect(address).toMatch(/^fdaa:/);
      expect(privateAddress(id)).toBe(address);
    }),
  );
});

test("two ids have two addresses", () => {
  fc.assert(
    fc.property(ids, ids, (a, b) => {
      expect(privateAddress(a) === privateAddress(b)).toBe(a === b);
    }),
  );
});

test("the address of an id does not change between releases", () => {
  expect(privateAddress("00001a2b3c4d5e")).toBe("fdaa::a7b:0:1a2:b3c4:d5e2");
  expect(privateAddress("9080e6f3a12345")).toBe("fdaa::a7b:908:e6f:3a12:3452");
});
