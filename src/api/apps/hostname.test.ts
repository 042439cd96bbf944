import { describe, expect, test } from "vitest";
import { parseDomain, parseHostname } from "./hostname.ts";

const parse = (text: string) => parseHostname(text, ["apps.example.net"]);

describe("a host name", () => {
  test.each([
    ["www.example.com", "www.example.com"],
    ["WWW.Example.COM.", "www.example.com"],
    ["*.example.com", "*.example.com"],
    ["Bücher.example", "xn--bcher-kva.example"],
    ["*.Bücher.example.", "*.xn--bcher-kva.example"],
    ["a。example.com", "a.example.com"],
    ["localhost.example.com", "localhost.example.com"],
    ["myapps.example.net", "myapps.example.net"],
    [`${"a.".repeat(125)}com`, `${"a.".repeat(125)}com`],
  ])("%j is %j", (text, hostname) => {
    expect(parse(text)).toEqual({ hostname });
  });

  test.each([
    ["", /is required/],
    ["com", /must be a DNS name/],
    ["*", /must be a DNS name/],
    ["*.", /must be a DNS name/],
    ["*.com", /must be a DNS name/],
    ["a.*.example.com", /must be a DNS name/],
    ["**.example.com", /must be a DNS name/],
    ["a..example.com", /must be a DNS name/],
    ["-a.example.com", /must be a DNS name/],
    ["a_b.example.com", /must be a DNS name/],
    ["https://example.com", /must be a DNS name/],
    ["example.com:443", /must be a DNS name/],
    ["example.com/path", /must be a DNS name/],
    ["a@example.com", /must be a DNS name/],
    ["a%2eexample.com", /must be a DNS name/],
    ["exa mple.com", /must be a DNS name/],
    ["example.com\n", /must be a DNS name/],
    ["\u00ad.com", /must be a DNS name/],
    ["xn--a.example.com..", /must be a DNS name/],
    [`${"a".repeat(64)}.com`, /must be a DNS name/],
    [`${"a.".repeat(126)}com`, /at most 253 bytes/],
    ["x".repeat(100_000), /must be a DNS name/],
    ["192.0.2.1", /not an IP address/],
    ["0x7f.1", /not an IP address/],
    ["[::1]", /must be a DNS name/],
    ["localhost", /must not be under localhost/],
    ["web.localhost", /must not be under localhost/],
    ["WEB.LOCALHOST.", /must not be under localhost/],
    ["*.localhost", /must not be under localhost/],
    ["apps.example.net", /must not be under apps\.example\.net/],
    ["*.apps.example.net", /must not be under apps\.example\.net/],
    ["a.b.apps.example.net", /must not be under apps\.example\.net/],
  ])("is not %j", (text, problem) => {
    expect(parse(text).problem).toMatch(problem);
  });
});

test("a domain of the fleet is a host name without a wildcard", () => {
  expect(parseDomain("Apps.Example.net.")).toBe("apps.example.net");
  expect(() => parseDomain("*.example.net")).toThrow(/must be domains such as/);
  expect(() => parseDomain("http://example.net")).toThrow(/must be domains such as/);
});
