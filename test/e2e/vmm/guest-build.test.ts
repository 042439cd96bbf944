import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildGuest } from "../../../guest/build/build.ts";
import { loadGuestAssets, readManifest } from "../../../src/hostd/vmm/qemu/process/guest-assets.ts";
import { guestFolder } from "../../../tools/lib/paths.ts";
import { bound } from "../../support/servers/bound.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";

let folder: TemporaryFolder;
beforeAll(async () => {
  await buildGuest(guestFolder(), () => {});
  folder = temporaryFolder("guest");
  cpSync(join(guestFolder(), "packages"), join(folder.path, "packages"), { recursive: true });
});
afterAll(() => folder.remove());

const script = join(import.meta.dirname, "../../../guest/build/build.ts");

test("a build that is killed leaves nothing that could be taken for a guest, and the next one succeeds", async () => {
  const child = spawn(...bound(process.execPath, [script, folder.path]), { stdio: "ignore" });
  await expect
    .poll(() => readdirSync(folder.path).some((name) => name.startsWith(".build-")), {
      timeout: 30_000,
      interval: 5,
    })
    .toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(readManifest(folder.path)).toBeUndefined();

  const manifest = await buildGuest(folder.path, () => {});

  expect(loadGuestAssets(folder.path).kernel).toBe(join(folder.path, manifest.kernel.file));
  expect(manifest.initramfs.modules.indexOf("virtio_ring")).toBeLessThan(
    manifest.initramfs.modules.indexOf("virtio"),
  );
  expect(statSync(join(folder.path, manifest.scratch.file)).size).toBeLessThan(1024 * 1024);
  const left = readdirSync(folder.path).filter((name) => name.startsWith("."));
  expect(left).toEqual([]);
});

test("a second build does nothing, and one is made again when a file is cut short", async () => {
  const progress: string[] = [];
  const before = readFileSync(join(folder.path, "guest.json"), "utf8");

  const { kernel } = await buildGuest(folder.path, (line) => void progress.push(line));
  expect(progress).toEqual([]);
  truncateSync(join(folder.path, kernel.file), 1_000);
  await buildGuest(folder.path, (line) => void progress.push(line));

  expect(progress).toContain("compiling the guest's init");
  expect(statSync(join(folder.path, kernel.file)).size).toBe(kernel.bytes);
  expect(JSON.parse(readFileSync(join(folder.path, "guest.json"), "utf8")).kernel).toEqual(
    JSON.parse(before).kernel,
  );
  rmSync(join(folder.path, "guest.json"));
});
