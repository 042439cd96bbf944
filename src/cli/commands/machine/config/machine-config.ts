import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import { commandLine } from "./command-line.ts";
import { readConfigFile } from "./config-file.ts";
import type { ConfigFlags } from "./config-flags.ts";
import { ignoredMembers } from "./fly-members.ts";
import { withServices } from "./services.ts";

/**
 * Makes the configuration that image, command and flags describe, over that of the file of
 * `--config` or `--machine-config`.
 *
 * @throws UsageError when no image is named, or the file cannot be used
 */
export function machineConfig(
  image: string | undefined,
  command: readonly string[],
  flags: ConfigFlags,
): MachineConfig {
  const base = configOfFile(flags);
  const chosen = image || base?.image;
  if (!chosen) throw new UsageError("Which image? Name one, e.g. hover machine run nginx -a web");
  return overlay({ ...NOT_SET, ...base, image: chosen }, command, flags);
}

/** Reads the configuration that a file of the flags has; undefined without one. @throws UsageError */
export function configOfFile({ config, machineConfig }: ConfigFlags): MachineConfig | undefined {
  if (config !== undefined && machineConfig !== undefined)
    throw new UsageError("Either --config or --machine-config: both are whole configurations.");
  if (config !== undefined) return readConfigFile(config, false);
  return machineConfig === undefined ? undefined : readConfigFile(machineConfig, true);
}

/** Says what of a configuration of Fly's is kept with the machine, and nothing comes of. */
export function sayIgnored(session: Pick<Session, "say">, flags: ConfigFlags, config: MachineConfig): void {
  const ignored = flags.machineConfig === undefined ? [] : ignoredMembers(config.extra);
  if (ignored.length > 0) session.say(`Not acted on: ${ignored.join(", ")}.`);
}

/** Applies flags and command to a configuration. @throws UsageError */
export function overlay(base: MachineConfig, command: readonly string[], flags: ConfigFlags): MachineConfig {
  const { vmCpuKind, vmCpus, vmMemory, entrypoint, user, workdir, signal, timeout } = flags;
  const cmd = command.length > 0 ? [...command] : flags.command && commandLine(flags.command);
  const files = [...(flags.fileLocal ?? []), ...(flags.fileLiteral ?? [])];
  const written = new Set(files.map(({ guestPath }) => guestPath));
  return {
    ...base,
    ...withServices(base, flags),
    guest: merge(NO_GUEST, base.guest, {
      ...flags.vmSize,
      ...defined({ cpuKind: vmCpuKind, cpus: vmCpus, memoryMb: vmMemory }),
    }),
    env: new Map([...base.env, ...Object.entries(flags.env ?? {})]),
    init: merge(NO_INIT, base.init, {
      entrypoint: entrypoint === undefined ? undefined : commandLine(entrypoint),
      cmd: cmd || undefined,
      user,
      workingDir: workdir,
    }),
    stopConfig: merge(NO_STOP, base.stopConfig, { signal, timeout: durationToProto(timeout) }),
    metadata: new Map([...base.metadata, ...Object.entries(flags.metadata ?? {})]),
    restart: merge(NO_RESTART, base.restart, {
      policy: flags.restart,
      maxRetries: flags.restartMaxRetries,
    }),
    autoDestroy: flags.rm ?? base.autoDestroy,
    schedule: flags.schedule ?? base.schedule,
    snapshot: flags.snapshot ?? base.snapshot,
    maxLifetime: durationToProto(flags.maxLifetime) ?? base.maxLifetime,
    files: [...base.files.filter(({ guestPath }) => !written.has(guestPath)), ...files],
  };
}

const NOT_SET: MachineConfig = {
  image: "",
  guest: undefined,
  env: new Map(),
  init: undefined,
  services: [],
  stopConfig: undefined,
  metadata: new Map(),
  restart: undefined,
  autoDestroy: false,
  schedule: "",
  files: [],
  dns: undefined,
  extra: undefined,
  ...{ checks: new Map(), snapshot: "", maxLifetime: undefined, maxBusy: undefined },
};
const NO_GUEST = { cpuKind: "", cpus: 0, memoryMb: 0 };
const NO_INIT = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", tty: false };
const NO_STOP = { signal: "", timeout: undefined };
const NO_RESTART = { policy: "", maxRetries: 0 };

/** Puts flags over a part of a file over a part without values. Undefined when neither has any. */
function merge<T extends object>(
  none: T,
  base: T | undefined,
  flags: { readonly [K in keyof T]?: T[K] | undefined },
): T | undefined {
  const given = defined(flags);
  return base || Object.keys(given).length > 0 ? { ...none, ...base, ...given } : undefined;
}

/** Leaves out undefined members. */
function defined<T extends object>(flags: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  // Only members of T are left, and none is undefined.
  return Object.fromEntries(given) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
