import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../lib/grpc/duration.ts";
import { UsageError } from "../../../session/usage-error.ts";
import type { Port } from "../../values.ts";
import { commandLine } from "./command-line.ts";
import { readConfigFile } from "./config-file.ts";

/** The flags of `machine run` and `machine create` that say what the machine is. */
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
 * The configuration that image, command and flags describe: over the file of `--config`, if there is one.
 *
 * @throws UsageError when no image is named, or the file cannot be used
 */
export function machineConfig(
  image: string | undefined,
  command: readonly string[],
  flags: ConfigFlags,
): MachineConfig {
  const base = flags.config === undefined ? EMPTY : readConfigFile(flags.config);
  if (!image && base.image === "")
    throw new UsageError("Which image? Name one, e.g. hover machine run nginx -a web");
  return {
    ...base,
    image: image || base.image,
    guest: guest(base, flags),
    env: { ...base.env, ...flags.env },
    init: init(base, command, flags),
    services: flags.port
      ? flags.port.map(({ protocol, internalPort }) => ({ protocol, internalPort }))
      : base.services,
    stopConfig: stop(base, flags),
    metadata: { ...base.metadata, ...flags.metadata },
  };
}

const EMPTY: MachineConfig = {
  image: "",
  guest: undefined,
  env: {},
  init: undefined,
  services: [],
  stopConfig: undefined,
  metadata: {},
};

function guest({ guest: base }: MachineConfig, flags: ConfigFlags): MachineConfig["guest"] {
  const { vmCpuKind, vmCpus, vmMemory } = flags;
  if (!base && vmCpuKind === undefined && vmCpus === undefined && vmMemory === undefined) return undefined;
  return {
    cpuKind: vmCpuKind ?? base?.cpuKind ?? "",
    cpus: vmCpus ?? base?.cpus ?? 0,
    memoryMb: vmMemory ?? base?.memoryMb ?? 0,
  };
}

function init(
  { init: base }: MachineConfig,
  command: readonly string[],
  flags: ConfigFlags,
): MachineConfig["init"] {
  const { entrypoint, user, workdir } = flags;
  if (!base && command.length === 0 && [entrypoint, user, workdir].every((flag) => flag === undefined)) {
    return undefined;
  }
  return {
    exec: base?.exec ?? [],
    entrypoint: entrypoint === undefined ? (base?.entrypoint ?? []) : commandLine(entrypoint),
    cmd: command.length > 0 ? [...command] : (base?.cmd ?? []),
    user: user ?? base?.user ?? "",
    workingDir: workdir ?? base?.workingDir ?? "",
  };
}

function stop({ stopConfig: base }: MachineConfig, flags: ConfigFlags): MachineConfig["stopConfig"] {
  if (!base && flags.signal === undefined && flags.timeout === undefined) return undefined;
  return {
    signal: flags.signal === undefined ? (base?.signal ?? "") : flags.signal,
    timeout: flags.timeout === undefined ? base?.timeout : durationToProto(flags.timeout),
  };
}
