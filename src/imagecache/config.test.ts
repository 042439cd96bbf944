import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

const NEEDED = { IMAGECACHE_DIR: "/var/lib/images", TOKEN_KEYS_DIR: "/etc/keys" };

test("a directory and a key are all it needs", () => {
  expect(readConfig(NEEDED)).toMatchObject({
    listen: "unix:/run/windhover/imagecache.sock",
    dir: "/var/lib/images",
    budgetBytes: 20_480 * 1024 * 1024,
    registries: { insecure: [], allowPrivate: [], proxies: { https: "", http: "", except: "" } },
    downloads: { places: 12, minBytesPerSecond: 10_240, windowMs: 30_000 },
  });
});

test("sizes are in MiB, lists have commas, and paths become absolute", () => {
  const config = readConfig({
    ...NEEDED,
    IMAGECACHE_DIR: "images",
    IMAGECACHE_BUDGET_MB: "100",
    IMAGECACHE_MAX_IMAGE_MB: "50",
    REGISTRY_INSECURE: "a:5000, b",
  });

  expect(config).toMatchObject({ budgetBytes: 104_857_600, registries: { insecure: ["a:5000", "b"] } });
  expect(config.limits.maxBytes).toBe(52_428_800);
  expect(config.dir).toBe(`${process.cwd()}/images`);
});

test("everything wrong is reported at once", () => {
  expect(() => readConfig({ IMAGECACHE_BUDGET_MB: "x", IMAGECACHE_LISTEN: "here" })).toThrow(
    /IMAGECACHE_LISTEN.*IMAGECACHE_DIR.*IMAGECACHE_BUDGET_MB.*TOKEN_KEYS_DIR/s,
  );
});
