import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type TemporaryFolder, temporaryFolder } from "../../../test/support/temporary.ts";
import { type Commit, commitOf, describeCommit, requireClean, requireSame } from "./commit.ts";

const AGAIN = "npm run bench -- start --readme";

let folder: TemporaryFolder;
beforeEach(() => {
  folder = temporaryFolder("bench-commit");
});
afterEach(() => folder.remove());

function write(file: string, text: string): void {
  writeFileSync(join(folder.path, file), text);
}

function git(...args: string[]): string {
  const identity = [
    "-c",
    "user.name=Test",
    "-c",
    "user.email=test@example.org",
    "-c",
    "commit.gpgsign=false",
  ];
  return execFileSync("git", ["-C", folder.path, ...identity, ...args], { encoding: "utf8" });
}

/** A repository with one commit. */
function repository(): string {
  git("init", "--quiet");
  mkdirSync(join(folder.path, "bench"));
  write("bench/README.md", "figures\n");
  write("code.ts", "1\n");
  write(".gitignore", "results/\n");
  git("add", "--all");
  git("commit", "--quiet", "--message", "first");
  return git("rev-parse", "--short", "HEAD").trim();
}

test("figures of a clean tree may be written, also after those of another benchmark were", () => {
  const shortHash = repository();
  write("bench/README.md", "other figures\n");
  mkdirSync(join(folder.path, "results"));
  write("results/start.txt", "ignored\n");

  const commit = commitOf(folder.path);

  expect(commit).toEqual({ shortHash, changed: [] });
  expect(() => requireClean(commit, AGAIN)).not.toThrow();
  expect(describeCommit(commit)).toBe(`commit ${shortHash}`);
});

test("a file that is changed or new makes the tree unclean, and the message says what to do", () => {
  const shortHash = repository();
  write("code.ts", "2\n");
  write("bench/new.ts", "3\n");

  const commit = commitOf(folder.path);

  expect(commit?.changed.toSorted()).toEqual(["bench/new.ts", "code.ts"]);
  expect(() => requireClean(commit, AGAIN)).toThrow(
    /these files are not committed: .*code\.ts.*\nNext: git add -A && git commit && npm run bench -- start --readme$/,
  );
  expect(describeCommit(commit)).toBe(`commit ${shortHash} with changes`);
});

test("a long list of files is cut", () => {
  const changed = ["a", "b", "c", "d", "e", "f", "g"];

  expect(() => requireClean({ shortHash: "1234567", changed }, AGAIN)).toThrow("a, b, c, d, e and 2 more.");
});

test("a folder without a commit has none to write figures of", () => {
  expect(commitOf(folder.path)).toBeUndefined();
  expect(describeCommit(undefined)).toBe("no commit");
  expect(() => requireClean(undefined, AGAIN)).toThrow("no git repository");
});

test("another commit at the end is refused", () => {
  const of = (shortHash: string): Commit => ({ shortHash, changed: [] });

  expect(() => requireSame(of("1234567"), of("1234567"), AGAIN)).not.toThrow();
  expect(() => requireSame(of("1234567"), of("89abcde"), AGAIN)).toThrow(
    /commit 89abcde was checked out while commit 1234567 was measured\.\nNext: npm run bench/,
  );
});
