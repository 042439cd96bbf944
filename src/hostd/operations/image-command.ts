import { Fault } from "../../lib/faults/fault.ts";
import type { ImageConfig, InitConfig } from "../machines/machine.ts";

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDir: string;
}

/** PATH of an image that sets none, as OCI tools have it. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Merges the command of an image with the overrides of a machine, as OCI tools do: `exec` replaces all; an entrypoint drops the
 * image's cmd; a cmd replaces only the image's cmd. The machine's environment wins.
 *
 * @throws Fault EXEC_FAILED with the fact `why=no_command`
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

/** Parses `NAME=value` entries. The last entry of a name wins; entries without `=` are dropped. */
function imageEnv(entries: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of entries) {
    const at = entry.indexOf("=");
    if (at > 0) env[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return env;
}
