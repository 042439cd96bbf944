import type { Machine } from "../../machines/machine.ts";
import type { MachineConfig } from "../../machines/machine-config.ts";
import { platformEnvironment } from "../../machines/platform-environment.ts";
import type { PortForward, Workload } from "../../vmm/vmm.ts";
import { imageCommand } from "./image-command.ts";

const DEFAULT_FILE_MODE = 0o644;

/** Makes what the guest of a machine runs. @param hostPorts in the order of its services. @throws Fault EXEC_FAILED */
export function workload(machine: Machine, hostPorts: readonly number[]): Workload {
  const { image, config } = machine.spec;
  if (!image) throw new Error(`machine ${machine.id} is ${machine.state} and has no image`);
  return {
    rootfs: image.rootfs,
    ...imageCommand(image.config, config.init, {
      ...platformEnvironment(machine.id, machine.spec),
      ...config.env,
    }),
    hostname: config.dns?.hostname || machine.id,
    ports: portsOf(config, hostPorts),
    ...filesOf(config),
    ...dnsOf(config),
    ...(config.init.tty ? { tty: true } : {}),
  };
}

function portsOf({ services }: MachineConfig, hostPorts: readonly number[]): readonly PortForward[] {
  return services.flatMap(({ protocol, internalPort }, index) => {
    const hostPort = hostPorts[index];
    return hostPort === undefined
      ? []
      : [{ protocol, hostAddress: "127.0.0.1", hostPort, guestPort: internalPort }];
  });
}

function filesOf({ files }: MachineConfig): Pick<Workload, "files"> {
  if (files === undefined) return {};
  return {
    files: files.map(({ guestPath, content, mode }) => ({
      path: guestPath,
      content: Buffer.from(content, "base64"),
      mode: mode === 0 ? DEFAULT_FILE_MODE : mode,
    })),
  };
}

function dnsOf({ dns }: MachineConfig): Pick<Workload, "dns"> {
  if (!dns || dns.nameservers.length + dns.searches.length + dns.options.length === 0) return {};
  const { nameservers, searches, options } = dns;
  return { dns: { nameservers, searches, options } };
}
