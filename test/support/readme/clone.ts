import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../../../tools/lib/paths.ts";

/** Makes a fresh clone of this tree, with uncommitted changes and the installed packages. */
export function freshClone(folder: string): void {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" });
  git("clone", "--quiet", "--no-hardlinks", ROOT, folder);
  const changed =
    git("diff", "--name-only", "-z", "HEAD") + git("ls-files", "--others", "--exclude-standard", "-z");
  for (const file of changed.split("\0").filter((name) => name !== "")) {
    const target = join(folder, file);
    rmSync(target, { force: true });
    if (!existsSync(join(ROOT, file))) continue;
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(ROOT, file), target);
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
}
