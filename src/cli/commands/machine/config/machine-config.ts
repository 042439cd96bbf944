import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { UsageError } from "../../../session/usage-error.ts";
import type { Port } from "../../values.ts";
import { commandLine } from "./command-line.ts";
import { readConfigFile } from "./config-file.ts";

/** Flags that describe the machine. */
export interface ConfigFlags {
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly port?: readonly Port[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly vmMemory?: number;
  readonly vmCpus?: number;
  readonly vmCpuKind?: string;
  readonly entrypoint?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly signal?: string;
  /** Milliseconds. */
  readonly timeout?: number;
}

/**
 * Makes the configuration that image, command and flags describe, over that of the file of
 * `--config`.
 *
 * @throws UsageError when no image is named, or the file cannot be used
 */
export function machineConfig(
  image: string | undefined,
  command: readonly string[],
  flags: ConfigFlags,
): MachineConfig {
  const base = flags.config === undefined ? undefined : readConfigFile(flags.config);
  const chosen = image || base?.image;
  if (!chosen) throw new UsageError("Which image? Name one, e.g. hover machine run nginx -a web");
  const { vmCpuKind, vmCpus, vmMemory, entrypoint, user, workdir, signal, timeout } = flags;
  return {
    ...NOT_SET,
    ...base,
    image: chosen,
    guest: merge(NO_GUEST, base?.guest, { cpuKind: vmCpuKind, cpus: vmCpus, memoryMb: vmMemory }),
    env: new Map([...(base?.env ?? []), ...Object.entries(flags.env ?? {})]),
    init: merge(NO_INIT, base?.init, {
      entrypoint: entrypoint === undefined ? undefined : commandLine(entrypoint),
      cmd: command.length > 0 ? [...command] : undefined,
      user,
      workingDir: workdir,
    }),
    services: flags.port ? [...flags.port] : (base?.services ?? []),
    stopConfig: merge(NO_STOP, base?.stopConfig, { signal, timeout: durationToProto(timeout) }),
    metadata: new Map([...(base?.metadata ?? []), ...Object.entries(flags.metadata ?? {})]),
  };
}

/** What there is no flag for. */
const NOT_SET = {
  restart: undefined,
  autoDestroy: false,
  schedule: "",
  files: [],
  dns: undefined,
  extra: undefined,
};
const NO_GUEST = { cpuKind: "", cpus: 0, memoryMb: 0 };
const NO_INIT = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", tty: false };
const NO_STOP = { signal: "", timeout: undefined };

/** Puts flags over a part of a file over a part without values. Undefined when neither has any. */
function merge<T extends object>(
  none: T,
  base: T | undefined,
  flags: { readonly [K in keyof T]?: T[K] | undefined },
): T | undefined {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return base || given.length > 0 ? { ...none, ...base, ...Object.fromEntries(given) } : undefined;
}
