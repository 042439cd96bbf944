import { execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

const execute = promisify(execFile);
/** A user that owns nothing here. */
const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/** Lists the files and folders below `folder` that another user of the machine can read, given their paths. */
export async function readableByOthers(folder: string): Promise<string[]> {
  const { stdout } = await execute("find", [folder, "!", "-type", "l"], { maxBuffer: 64 * 1024 * 1024 });
  const script = 'while IFS= read -r path; do [ -r "$path" ] && echo "$path"; done; true';
  const child = spawn("setpriv", [...NOBODY, "sh", "-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(stdout);
  return (await text(child.stdout)).split("\n").filter((path) => path !== "");
}

/** Lists the files below some folders that contain a text. */
export async function filesWith(secret: string, folders: readonly string[]): Promise<string[]> {
  const found = await execute("grep", [
    "--recursive",
    "--files-with-matches",
    "--fixed-strings",
    "--",
    secret,
    ...folders,
  ])
    .then(({ stdout }) => stdout)
    .catch((err: { code?: number; stdout?: string }) => {
      // Nothing was found, or a file went meanwhile.
      if (err.code === 1 || err.code === 2) return err.stdout ?? "";
      throw err;
    });
  return found.split("\n").filter((path) => path !== "");
}

/** What a process has from whoever started it. */
export function inheritance(pid: number) {
  const folder = `/proc/${pid}/fd`;
  const descriptors = readdirSync(folder).map((fd) => readlinkSync(join(folder, fd)));
  const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
  return {
    descriptors,
    variables: environment.flatMap((entry) => entry.split("=")[0] || []).sort(),
    coreLimit: /^Max core file size\s+(\S+)\s+(\S+)/m.exec(limits)?.slice(1),
  };
}
