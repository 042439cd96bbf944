import { type Fault, invalid, type Violation } from "../../../lib/faults/fault.ts";
import { imageFault, type Subject } from "../../../lib/oci/faults.ts";
import type { RunConfig } from "../../../lib/oci/image/config.ts";
import type { Init, MachineConfig } from "../../machines/machine.ts";

const MAX_UID = 2 ** 32 - 2;
/** Linux takes no longer argument or variable, its NUL included. */
const MAX_STRING_BYTES = 128 * 1_024 - 1;
const MAX_PATH_BYTES = 4_095;
/** Limits of the guest. Of variables, 256 are left for those of a request. */
const MAX_ARGS = 4_096;
const MAX_ENV = 4_096 - 256;
const MAX_VOLUMES = 1_024;
const MAX_SHOWN = 40;

/**
 * Finds reasons why an image can never run with a configuration: what the configuration
 * overrides does not count.
 *
 * @returns `INVALID_FIELDS` when the configuration is at fault, otherwise `IMAGE_CONFIG_INVALID` with
 *   every field of the image that is; undefined when neither is
 */
export function checkImage(run: RunConfig, config: MachineConfig, subject: Subject): Fault | undefined {
  const init = config.init ?? NO_INIT;
  const requested = checkRequested(run, init);
  if (requested) return invalid([requested]);
  const problems = [
    ...checkCommand(run, init),
    ...(init.workingDir === "" ? checkWorkingDir(run.workingDir) : []),
    ...(init.user === "" ? checkUser(run.user) : []),
    ...checkStrings("Env", run.env),
    ...checkCount("Env", run.env.length, MAX_ENV),
    ...checkVolumes(run.volumes ?? []),
  ];
  if (problems.length === 0) return undefined;
  const list = problems.map(({ field, description }) => `${field} ${description}`).join("; ");
  const fields = problems.map(({ field }) => field).join(",");
  return imageFault("IMAGE_CONFIG_INVALID", subject, `its configuration cannot be run: ${list}`, { fields });
}

const NO_INIT: Init = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "" };

/** A cmd of the request is the program of an image without an entrypoint. */
function checkRequested(run: RunConfig, init: Init): Violation | undefined {
  for (const field of ["exec", "entrypoint", "cmd"] as const) {
    const [problem] = checkCount(field, init[field].length, MAX_ARGS);
    if (problem) return { ...problem, field: `config.init.${field}` };
  }
  if (init.exec.length > 0 || init.entrypoint.length > 0 || entrypointOf(run).length > 0) return undefined;
  if (init.cmd[0] !== "") return undefined;
  const description = "must begin with the name of a program, as the image has no entrypoint";
  return { field: "config.init.cmd", description };
}

function checkCommand(run: RunConfig, init: Init): Violation[] {
  if (init.exec.length > 0 || init.entrypoint.length > 0) return [];
  const entrypoint = entrypointOf(run);
  const ownCmd = init.cmd.length > 0;
  const argv = [...entrypoint, ...(ownCmd ? init.cmd : run.cmd)];
  const [field, other] = entrypoint.length > 0 ? ["Entrypoint", run.entrypoint] : ["Cmd", run.cmd];
  if (argv.length === 0) {
    const description = "and Cmd are empty: set init.exec, init.entrypoint or init.cmd";
    return [{ field: "Entrypoint", description }];
  }
  if (argv[0] === "") return [{ field, description: "begins with an empty program: set init.exec" }];
  const counted = checkCount(field, argv.length, MAX_ARGS);
  if (counted.length > 0) return counted;
  return [...checkStrings(field, other), ...(field === "Cmd" || ownCmd ? [] : checkStrings("Cmd", run.cmd))];
}

/** `[""]` is how Docker's tools write that there is none. */
function entrypointOf({ entrypoint }: RunConfig): readonly string[] {
  return entrypoint.length === 1 && entrypoint[0] === "" ? [] : entrypoint;
}

function checkWorkingDir(path: string): Violation[] {
  const isPath = path.startsWith("/") && isPlain(path) && Buffer.byteLength(path) <= MAX_PATH_BYTES;
  if (path === "" || isPath) return [];
  const description = `"${shown(path)}" is not an absolute path: set init.working_dir`;
  return [{ field: "WorkingDir", description }];
}

function checkUser(user: string): Violation[] {
  const parts = user.split(":");
  const areParts = parts.every((part) => isPlain(part) && !(/^\d+$/.test(part) && Number(part) > MAX_UID));
  if (user === "" || (parts.length <= 2 && areParts && !/^:|[\n/]/.test(user))) return [];
  const description = `"${shown(user)}" is not name, uid, name:group or uid:gid: set init.user`;
  return [{ field: "User", description }];
}

function checkVolumes(volumes: readonly string[]): Violation[] {
  const areUsable = volumes.every((path) => isPlain(path) && Buffer.byteLength(path) <= MAX_PATH_BYTES);
  if (!areUsable) return [{ field: "Volumes", description: "has a path that Linux cannot have" }];
  return checkCount("Volumes", volumes.length, MAX_VOLUMES);
}

function checkCount(field: string, count: number, limit: number): Violation[] {
  return count <= limit ? [] : [{ field, description: `has ${count} entries, more than ${limit}` }];
}

function checkStrings(field: string, items: readonly string[]): Violation[] {
  if (!items.every(isPlain)) return [{ field, description: "has an entry with a NUL character" }];
  const isShort = items.every((item) => Buffer.byteLength(item) <= MAX_STRING_BYTES);
  return isShort ? [] : [{ field, description: `has an entry of more than ${MAX_STRING_BYTES} bytes` }];
}

function isPlain(text: string): boolean {
  return !text.includes("\0");
}

function shown(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= MAX_SHOWN ? plain : `${plain.slice(0, MAX_SHOWN)}...`;
}
