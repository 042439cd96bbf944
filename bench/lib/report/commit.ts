import { execFileSync } from "node:child_process";
import { UserError } from "../../../tools/lib/main.ts";

/** The commit that figures are of. */
export interface Commit {
  readonly shortHash: string;
  /** Files that are not as in the commit. The README that figures are written into is left out. */
  readonly changed: readonly string[];
}

/** Where figures are written, from the root. */
export const README = "bench/README.md";
const MOST_NAMED = 5;

/** Returns the commit that is checked out in `root`; undefined where there is none. */
export function commitOf(root: string): Commit | undefined {
  const git = (...args: string[]): string =>
    execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const changes = git("status", "--porcelain").split("\n");
    const changed = changes.map((line) => line.slice(3)).filter((file) => file !== "" && file !== README);
    return { shortHash: git("rev-parse", "--short", "HEAD").trim(), changed };
  } catch {
    return undefined;
  }
}

/** Names the commit in the heading of a report. */
export function describeCommit(commit: Commit | undefined): string {
  if (commit === undefined) return "no commit";
  return `commit ${commit.shortHash}${commit.changed.length > 0 ? " with changes" : ""}`;
}

/**
 * Refuses figures that are of no commit.
 *
 * @param command repeats the benchmark
 * @throws UserError with the next command
 */
export function requireClean(commit: Commit | undefined, command: string): void {
  if (commit === undefined) {
    throw new UserError(`${README} takes figures of a commit only, and this folder is no git repository.`);
  }
  const { changed } = commit;
  if (changed.length === 0) return;
  const more = changed.length - MOST_NAMED;
  const files = changed.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
  throw new UserError(
    `${README} takes figures of a commit only, and these files are not committed: ${files}.\nNext: git add -A && git commit && ${command}`,
  );
}

/** Refuses figures when another commit was checked out meanwhile. @throws UserError */
export function requireSame(before: Commit | undefined, after: Commit | undefined, command: string): void {
  if (before?.shortHash === after?.shortHash) return;
  throw new UserError(
    `${README} was not written: ${describeCommit(after)} was checked out while ${describeCommit(before)} was measured.\nNext: ${command}`,
  );
}
