import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { claimIsolation } from "./isolation.ts";
import { selectVmm } from "./select.ts";

const FULL = { hasNamespace: true, hasUid: true, shortfall: "" };

test("a host claims hardware with KVM and full confinement", () => {
  expect(claimIsolation("kvm", FULL)).toEqual({ isolation: "hardware", why: "" });
});

test.each([
  ["emulates", "emulation", FULL, "VMs are emulated"],
  ["has no root", "kvm", { ...FULL, hasUid: false }, "hostd is not root"],
  ["has no bubblewrap", "kvm", { ...FULL, hasNamespace: false, shortfall: "bubblewrap: ENOENT" }, "ENOENT"],
  ["is unconfined", "kvm", { hasNamespace: false, hasUid: false, shortfall: "switched off" }, "switched off"],
] as const)("a host that %s claims development, and says why", (_, acceleration, confinement, why) => {
  expect(claimIsolation(acceleration, confinement)).toEqual({
    isolation: "development",
    why: expect.stringContaining(why),
  });
});

test.each([{ mode: "sim" }, { mode: "emulation" }] as const)(
  "a host that must isolate by hardware does not start with $mode",
  async ({ mode }) => {
    const dir = mkdtempSync(join(tmpdir(), "wh-isolation-"));

    const selected = selectVmm({ dir, guestDir: dir, mode, requireIsolation: "hardware" });

    await expect(selected).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "ISOLATION_UNAVAILABLE",
      message: expect.stringContaining("HOSTD_REQUIRE_ISOLATION=hardware"),
    });
    rmSync(dir, { recursive: true });
  },
);
