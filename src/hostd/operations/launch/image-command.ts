import { posix } from "node:path";
import { Fault } from "../../../lib/faults/fault.ts";
import type { InitConfig } from "../../machines/machine-config.ts";
import type { ImageConfig } from "../../machines/version.ts";

export interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workingDir: string;
  readonly volumes: readonly string[];
}

/** PATH of an image that sets none, as OCI tools have it. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Merges the command of an image with the overrides of a machine, as OCI tools do: `exec` replaces all; an entrypoint drops the
 * image's cmd; a cmd replaces only the image's cmd. An entrypoint of one empty word is none. The machine's environment wins.
 *
 * @throws Fault EXEC_FAILED with the fact `why=no_command`, also when the program's name is empty
 */
export function imageCommand(
  image: ImageConfig,
  init: InitConfig,
  env: Readonly<Record<string, string>>,
): Command {
  const argv = argvOf(image, init);
  if (!argv[0]) {
    const problem =
      argv.length === 0
        ? "there is neither an entrypoint nor a cmd"
        : "the first word of the command is empty";
    throw new Fault(
      "FAILED_PRECONDITION",
      "EXEC_FAILED",
      `${problem}: set init.exec, init.entrypoint or init.cmd, or the image's Entrypoint or Cmd`,
      { path: "", why: "no_command" },
    );
  }
  return {
    argv,
    env: { PATH: DEFAULT_PATH, ...imageEnv(image.env), ...env },
    user: init.user || image.user,
    workingDir: absolute(init.workingDir || image.workingDir),
    volumes: (image.volumes ?? []).map(absolute),
  };
}

function argvOf(image: ImageConfig, init: InitConfig): readonly string[] {
  if (init.exec.length > 0) return init.exec;
  if (init.entrypoint.length > 0) return [...withoutEmpty(init.entrypoint), ...init.cmd];
  return [...withoutEmpty(image.entrypoint), ...(init.cmd.length > 0 ? init.cmd : image.cmd)];
}

/** Images may have relative paths; they are meant from the root. */
function absolute(path: string): string {
  return path.startsWith("/") ? path : posix.resolve("/", path);
}

/** Docker writes `[""]` for an entrypoint that was taken away. */
function withoutEmpty(entrypoint: readonly string[]): readonly string[] {
  return entrypoint.length === 1 && entrypoint[0] === "" ? [] : entrypoint;
}

/** Parses `NAME=value` entries. The last entry of a name wins; entries without `=` are dropped. */
function imageEnv(entries: readonly string[]): Record<string, string> {
  // Not by assignment, which drops a variable of the name `__proto__`.
  return Object.fromEntries(
    entries.flatMap((entry) => {
      const at = entry.indexOf("=");
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)]] : [];
    }),
  );
}
