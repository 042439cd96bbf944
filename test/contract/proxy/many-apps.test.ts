import { afterEach, beforeEach, expect, test } from "vitest";
import { metric } from "../../support/telemetry/metrics-page.ts";
import { TestProxy } from "./fixture.ts";

let proxy: TestProxy;

beforeEach(async () => {
  proxy = await TestProxy.start();
});
afterEach(() => proxy.close());

// By itself: who comes after it in its process has no label of his own.
test("apps beyond two hundred share a label", async () => {
  for (let count = 0; count < 210; count++) {
    await proxy.app(`many-${count}`, []);
    await proxy.fetch(`many-${count}.localhost`);
  }

  await expect.poll(() => metric("windhover_proxy_requests_total", { app: "_other" })).toBeGreaterThan(9);
});
