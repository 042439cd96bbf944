import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/lib/run.ts";

/** Prints a line of progress. */
export type Log = (line: string) => void;

/** The package that depends on the newest kernel made for virtual machines. */
const META_PACKAGE = "linux-image-cloud-amd64";
const KERNEL_PACKAGE = /^linux-image-\d+(\.\d+)*-\d+-cloud-amd64$/;
const DOWNLOAD_TIMEOUT_MS = 300_000;
const COMMAND_TIMEOUT_MS = 30_000;

/**
 * Downloads the newest kernel package that apt knows into `dir` unless it is there, and returns its
 * path. Without a network the newest that is there serves. Nothing is installed, and root is not
 * needed. `drafts` is for unfinished downloads, on the same file system; the caller removes it.
 */
export async function fetchKernelPackage(dir: string, drafts: string, log: Log): Promise<string> {
  mkdirSync(dir, { recursive: true });
  const present = newestIn(dir);
  const name = await newestName();
  if (name === undefined) {
    if (present !== undefined) return present;
    throw new Error(`apt knows no ${META_PACKAGE}; run "apt-get update" and try again`);
  }
  if (present?.includes(`/${name}_`)) return present;
  const draft = join(drafts, "download");
  mkdirSync(draft, { recursive: true });
  try {
    log(`downloading ${name}`);
    // As root, apt would download as a user who may not write here.
    const options = ["-q", "-o", "APT::Sandbox::User=root"];
    const signal = AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS);
    await run("apt-get", ["download", ...options, name], { cwd: draft, signal });
    const file = readdirSync(draft).find((each) => each.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get download ${name} brought nothing`);
    renameSync(join(draft, file), join(dir, file));
    return join(dir, file);
  } catch (cause) {
    if (present === undefined) throw new Error(`the kernel package ${name} cannot be downloaded`, { cause });
    log(`${name} cannot be downloaded; using the kernel that is there`);
    return present;
  }
}

/** Unpacks a package below `dir`, without installing it. */
export async function unpackPackage(file: string, dir: string): Promise<void> {
  await run("dpkg-deb", ["-x", file, dir], { signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS) });
}

async function newestName(): Promise<string | undefined> {
  const signal = AbortSignal.timeout(COMMAND_TIMEOUT_MS);
  // Its words are translated otherwise.
  const env = { ...process.env, LC_ALL: "C" };
  const text = await run("apt-cache", ["depends", META_PACKAGE], { signal, env }).catch(() => "");
  const names = text.split("\n").map((line) => line.replace(/^\s*Depends:\s*/, "").trim());
  return names.find((name) => KERNEL_PACKAGE.test(name));
}

function newestIn(dir: string): string | undefined {
  const files = readdirSync(dir).filter((file) => file.endsWith(".deb"));
  const byAge = files
    .map((file) => join(dir, file))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return byAge[0];
}
