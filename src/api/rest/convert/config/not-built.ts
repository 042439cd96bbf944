import { Fault } from "../../../../lib/faults/fault.ts";
import type { ConfigJson } from "./config-schema.ts";
import { isGpuPreset } from "./guest-presets.ts";

/**
 * Refuses members of a configuration that are not built yet and without which the machine would be
 * another one.
 *
 * @throws Fault UNIMPLEMENTED / `NOT_BUILT_YET` that names every such member
 */
export function refuseUnbuilt(config: ConfigJson, at: string): void {
  const found: string[] = [];
  const refuse = (asked: boolean | undefined, field: string, what: string) => {
    if (asked) found.push(`${at}.${field}: ${what}`);
  };
  refuse(has(config.mounts), "mounts", "volumes are not built yet");
  refuse(has(config.volumes), "volumes", "volumes are not built yet");
  refuse(has(config.containers), "containers", "several containers are not built yet");
  refuse((config.processes?.length ?? 0) > 1, "processes", "more than one process is not built yet");
  refuse(!!config.guest?.gpu_kind || !!config.guest?.gpus, "guest.gpu_kind", "GPUs are not built yet");
  refuse(isGpuPreset(config.size ?? ""), "size", "GPUs are not built yet");
  for (const [i, file] of (config.files ?? []).entries()) {
    refuse(!!file.secret_name, `files[${i}].secret_name`, "secrets are not built yet");
    refuse(!!file.image_config, `files[${i}].image_config`, "files of an image are not built yet");
  }
  for (const [i, process] of (config.processes ?? []).entries()) {
    refuse(has(process.secrets), `processes[${i}].secrets`, "secrets are not built yet");
  }
  if (found.length > 0) {
    const fields = found.map((each) => each.slice(0, each.indexOf(": "))).join(",");
    throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", found.join("; "), { fields });
  }
}

function has(list: readonly unknown[] | undefined): boolean {
  return list !== undefined && list.length > 0;
}
