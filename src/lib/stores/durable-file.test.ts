import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { replaceFileSync, writeDurably } from "./durable-file.ts";

let dir = "";
let path = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "durable-"));
  path = join(dir, "file");
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true, force: true });
});

test("the content is synced before it takes the old one's place, and the folder after", async () => {
  writeFileSync(path, "old");
  const synced = await recordSyncs();

  await writeDurably(path, "new");

  expect(synced).toEqual([
    { kind: "file", content: "old" },
    { kind: "folder", content: "new" },
  ]);
  expect(readdirSync(dir)).toEqual(["file"]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file is replaced whole, without a draft left behind", () => {
  writeFileSync(path, "old, and longer");

  replaceFileSync(path, "new", 0o640);

  expect(readFileSync(path, "utf8")).toBe("new");
  expect(readdirSync(dir)).toEqual(["file"]);
  expect(statSync(path).mode & 0o777).toBe(0o640);
});

/** Records what is synced, and what the file's name leads to at that moment. */
async function recordSyncs(): Promise<{ kind: string; content: string }[]> {
  const synced: { kind: string; content: string }[] = [];
  const handle = await open(dir, "r");
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const { sync } = prototype;
  vi.spyOn(prototype, "sync").mockImplementation(async function (this: FileHandle) {
    const isFolder = (await this.stat()).isDirectory();
    synced.push({ kind: isFolder ? "folder" : "file", content: readFileSync(path, "utf8") });
    return await sync.call(this);
  });
  return synced;
}
