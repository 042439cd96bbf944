import { expect, test } from "vitest";
import { proxyHeader } from "./proxy-protocol.ts";

const FOUR = { address: "192.0.2.1", clientPort: 56_324, localAddress: "198.51.100.2", port: 443 };
const SIX = { address: "2001:db8::1", clientPort: 1, localAddress: "::ffff:198.51.100.2", port: 65_535 };

test("version 1 is a line of text", () => {
  expect(proxyHeader("v1", FOUR).toString()).toBe("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
  expect(proxyHeader("v1", SIX).toString()).toBe("PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 1 65535\r\n");
  expect(proxyHeader("v1", { ...FOUR, localAddress: "::1" }).toString()).toBe("PROXY UNKNOWN\r\n");
});

test("version 2 is binary", () => {
  expect(proxyHeader("v2", FOUR).toString("hex")).toBe(
    "0d0a0d0a000d0a515549540a2111000cc0000201c6336402dc0401bb",
  );
  expect(proxyHeader("v2", SIX).toString("hex")).toBe(
    `0d0a0d0a000d0a515549540a21210024${"20010db8000000000000000000000001"}${"00000000000000000000ffffc6336402"}0001ffff`,
  );
  expect(proxyHeader("v2", { ...FOUR, localAddress: "::1" }).toString("hex")).toBe(
    "0d0a0d0a000d0a515549540a21000000",
  );
});
