import { ROOT } from "../lib/paths.ts";
import { run } from "../lib/run.ts";

/**
 * Finds the commit that contracts must stay compatible with: where this branch left the main one; on the main branch the last commit,
 * or the one before when nothing is changed. Undefined when that has no contracts, or is not in this clone.
 */
export async function breakingBase(): Promise<string | undefined> {
  const head = await git("rev-parse", "HEAD");
  if (head === undefined) return undefined;
  const main =
    (await git("rev-parse", "--verify", "origin/main")) ?? (await git("rev-parse", "--verify", "main"));
  const fork = main === undefined ? undefined : await git("merge-base", "HEAD", main);
  const isChanged = (await git("status", "--porcelain", "--", "proto")) !== "";
  const base =
    fork !== undefined && fork !== head ? fork : isChanged ? head : await git("rev-parse", "HEAD~1");
  if (base === undefined) return undefined;
  const contracts = await git("ls-tree", "-r", "--name-only", base, "--", "proto/windhover");
  return contracts === undefined || contracts === "" ? undefined : base;
}

async function git(...args: readonly string[]): Promise<string | undefined> {
  try {
    return (await run("git", args, { cwd: ROOT })).trim();
  } catch {
    return undefined;
  }
}
