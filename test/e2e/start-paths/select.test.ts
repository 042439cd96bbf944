import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildGuest } from "../../../guest/build/build.ts";
import { guestFolder } from "../../../tools/lib/paths.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { openVmm } from "../support/fixture.ts";

test("the VMM is what a real guest boots on, and is remembered until something changes", async () => {
  await buildGuest(guestFolder(), () => {});
  const folder = temporaryFolder("select");
  // Unconfined, so that /dev/kvm opens whoever may use it and only a boot can tell.
  const options = { confinement: "none" } as const;

  const begun = performance.now();
  const first = await openVmm(folder.path, options);
  const remembered = readFileSync(join(folder.path, "vmm.json"), "utf8");
  const start = performance.now();
  const second = await openVmm(folder.path, options);
  const secondMs = performance.now() - start;
  const forced = await openVmm(folder.path, { ...options, mode: "emulation" });

  expect(first.info.name).toBe("qemu");
  expect(first.info.version).toMatch(/^\d+\.\d+/);
  if (first.info.acceleration === "emulation") {
    expect(first.info.reason).toMatch(/^kvm: .+; emulation: guest reported after \d+ ms$/);
    // Of this machine's own counter, which guests see.
    expect(JSON.parse(remembered).tscMhz).toBeGreaterThan(500);
  } else {
    expect(first.info.reason).toMatch(
      /^kvm: guest reported after \d+ ms; QEMU is not fully confined: switched off$/,
    );
  }
  expect(first.info.isolation).toBe("development");
  expect(second.info).toEqual(first.info);
  expect(secondMs).toBeLessThan((start - begun) / 2);
  expect(forced.info).toMatchObject({ acceleration: "emulation", isolation: "development" });
  expect(remembered).not.toBe(readFileSync(join(folder.path, "vmm.json"), "utf8"));
  expect(await forced.list()).toEqual([]);
  for (const vmm of [first, second, forced]) await vmm.close();
  folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});

test("a directory without a guest says what to do", async () => {
  const folder = temporaryFolder("select");

  await expect(openVmm(folder.path, { guestDir: folder.path })).rejects.toThrow('run "npm run setup"');

  folder.remove();
});
