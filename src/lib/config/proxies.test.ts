import { expect, test } from "vitest";
import { readEnv } from "./config.ts";
import { withProxyNames } from "./proxies.ts";
import { HTTP_PROXY, HTTPS_PROXY, NO_PROXY } from "./variables.ts";

const read = (env: Readonly<Record<string, string>>) =>
  readEnv(withProxyNames(env), { HTTPS_PROXY, HTTP_PROXY, NO_PROXY });

test("proxies are read in capitals and in small letters, which come first", () => {
  expect(read({})).toEqual({ HTTPS_PROXY: "", HTTP_PROXY: "", NO_PROXY: "" });
  expect(
    read({ HTTPS_PROXY: "http://a:1", https_proxy: "http://b:2", NO_PROXY: "x", HTTP_PROXY: "c:3" }),
  ).toEqual({
    HTTPS_PROXY: "http://b:2/",
    HTTP_PROXY: "http://c:3/",
    NO_PROXY: "x",
  });
});

test.each(["ftp://a", "http://", "socks5://a:1", "user:canary@a:1"])("%s is no proxy", (proxy) => {
  expect(() => read({ HTTPS_PROXY: proxy })).toThrow("HTTPS_PROXY must be the URL of a proxy");
  expect(() => read({ HTTPS_PROXY: proxy })).not.toThrow("canary");
});
