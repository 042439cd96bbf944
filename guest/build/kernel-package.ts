import { mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Log, run } from "./run.ts";

/** The package that depends on the newest kernel made for virtual machines. */
const META_PACKAGE = "linux-image-cloud-amd64";
const KERNEL_PACKAGE = /^linux-image-\d+(\.\d+)*-\d+-cloud-amd64$/;
const DOWNLOAD_TIMEOUT_MS = 300_000;
const ASK_TIMEOUT_MS = 30_000;

/**
 * The file of the kernel's Debian package: the newest apt knows of, downloaded into `dir` unless it is there already. Without a
 * network the newest that is there does. Nothing is installed, and root is not needed. `drafts` is for what is unfinished, on the
 * same file system; the caller removes it.
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
    // As root, apt would hand the download to a user who may not write here.
    const options = ["-q", "-o", "APT::Sandbox::User=root"];
    await run("apt-get", ["download", ...options, name], { cwd: draft, timeoutMs: DOWNLOAD_TIMEOUT_MS });
    const file = readdirSync(draft).find((each) => each.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get download ${name} brought nothing`);
    renameSync(join(draft, file), join(dir, file));
    return join(dir, file);
  } catch (cause) {
    if (present === undefined) throw new Error(`the kernel package ${name} cannot be downloaded`, { cause });
    log(`${name} cannot be downloaded; using the kernel at hand`);
    return present;
  }
}

/** Unpacks a package below `dir`, without installing it. */
export async function unpackPackage(file: string, dir: string): Promise<void> {
  await run("dpkg-deb", ["-x", file, dir], { timeoutMs: ASK_TIMEOUT_MS });
}

async function newestName(): Promise<string | undefined> {
  const text = await run("apt-cache", ["depends", META_PACKAGE], { timeoutMs: ASK_TIMEOUT_MS }).catch(
    () => "",
  );
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
