import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { requireRoom, SAVED_FILES, SavedVms } from "./saved-vms.ts";

const KB = 1_024;
const OF = { key: "k", shape: { cpus: 1, memoryMb: 256 }, lastLine: 0 };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-saved-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A draft of 64 KB of memory, and a disk of 256 KB. */
async function draftOf(saved: SavedVms, name: string): Promise<string> {
  const draft = await saved.draft(name);
  writeFileSync(join(draft, SAVED_FILES.memory), Buffer.alloc(64 * KB, 1));
  writeFileSync(join(draft, SAVED_FILES.devices), "");
  return draft;
}

function writeDisk(folder: string): string {
  const file = join(folder, SAVED_FILES.scratch);
  writeFileSync(file, Buffer.alloc(256 * KB, 1));
  return file;
}

test("a saved VM takes the disk of its copies, and not that of the machine's own disk", async () => {
  const saved = new SavedVms(dir);
  for (const [name, isOwnDisk] of [
    ["copied", false],
    ["linked", true],
  ] as const) {
    writeDisk(await draftOf(saved, name));
    const { bytes } = await saved.commit(name, { ...OF, isOwnDisk });

    expect(saved.list().find((each) => each.name === name)?.bytes).toBe(bytes);
  }

  const bytes = new Map(saved.list().map((each) => [each.name, each.bytes]));
  const diskBytes = statSync(join(saved.path("copied"), SAVED_FILES.scratch)).blocks * 512;
  expect(bytes.get("copied")).toBe((bytes.get("linked") ?? 0) + diskBytes);
  expect(bytes.get("linked")).toBeGreaterThanOrEqual(64 * KB);
});

test("a disk is not copied when that would take more than is allocated", async () => {
  const draft = await draftOf(new SavedVms(dir), "vm");
  const disk = writeDisk(dir);

  expect(() => requireRoom(draft, disk, 400 * KB)).not.toThrow();
  expect(() => requireRoom(draft, disk, 200 * KB)).toThrow("more than");
});
