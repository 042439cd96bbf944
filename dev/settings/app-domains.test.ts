import { expect, test } from "vitest";
import { appDomains } from "./app-domains.ts";

test.each([
  [{}, ""],
  [{ PROXY_DOMAINS: "apps.example" }, "apps.example"],
  [{ API_PROXY_DOMAINS: "apps.example" }, "apps.example"],
  [{ PROXY_DOMAINS: "", API_PROXY_DOMAINS: "apps.example" }, "apps.example"],
  [{ PROXY_DOMAINS: "apps.example", API_PROXY_DOMAINS: "apps.example" }, "apps.example"],
])("apis and proxies have the domains that one of them is given: %o", (env, domains) => {
  expect(appDomains(env)).toBe(domains);
});

test("different domains for apis and proxies are refused with both names and the fix", () => {
  const env = { PROXY_DOMAINS: "apps.example", API_PROXY_DOMAINS: "other.example" };

  expect(() => appDomains(env)).toThrow(
    "PROXY_DOMAINS=apps.example and API_PROXY_DOMAINS=other.example differ: leave API_PROXY_DOMAINS out.",
  );
});
