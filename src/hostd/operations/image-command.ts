import { Fault } from "../../lib/faults/fault.ts";
import type { ImageConfig, InitConfig } from "../machines/machine.ts";

/** What is run in the guest. */
export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDir: string;
}

/** The PATH that OCI tools give to an image that sets none. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Merges what an image says to run with a machine's overrides, as the OCI tools do: `exec` stands for itself; an own
 * entrypoint drops the image's cmd; an own cmd replaces only the image's cmd. The request's environment wins.
 *
 * @throws Fault EXEC_FAILED / fact `why=no_command` when nothing is left to run
 */
export function imageCommand(
  image: ImageConfig,
  init: InitConfig,
  env: Readonly<Record<string, string>>,
): Command {
  const argv = argvOf(image, init);
  if (argv.length === 0) {
    throw new Fault(
      "FAILED_PRECONDITION",
      "EXEC_FAILED",
      "the image has neither an entrypoint nor a cmd: set init.exec, init.entrypoint or init.cmd",
      { path: "", why: "no_command" },
    );
  }
  return {
    argv,
    env: { PATH: DEFAULT_PATH, ...imageEnv(image.env), ...env },
    user: init.user || image.user,
    workingDir: init.workingDir || image.workingDir || "/",
  };
}

function argvOf(image: ImageConfig, init: InitConfig): readonly string[] {
  if (init.exec.length > 0) return init.exec;
  if (init.entrypoint.length > 0) return [...init.entrypoint, ...init.cmd];
  return [...image.entrypoint, ...(init.cmd.length > 0 ? init.cmd : image.cmd)];
}

/** The last of several entries of one name wins; an entry without `=` is no assignment and is dropped. */
function imageEnv(entries: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of entries) {
    const at = entry.indexOf("=");
    if (at > 0) env[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return env;
}
