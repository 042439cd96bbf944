import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { layoutOf } from "../settings/layout.ts";
import { localSettings } from "../settings/settings.ts";
import { api, proxy } from "./services.ts";

test("the apis and proxies of all regions have the same domains", () => {
  const folder = mkdtempSync(join(tmpdir(), "windhover-services-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const shape = { regions: ["ord", "gru"], hosts: 1 };
  const settings = localSettings(folder, "", shape, { PROXY_DOMAINS: "apps.example" });
  const context = { layout: layoutOf(folder), settings };

  const domains = settings.regions.flatMap((region) => [
    api(context, region).environment["API_PROXY_DOMAINS"],
    proxy(context, region).environment["PROXY_DOMAINS"],
  ]);

  expect(domains).toEqual(Array.from({ length: 4 }, () => "apps.example"));
});
