import { isIPv4 } from "node:net";
import { LaunchError, type PortForward } from "../../vmm.ts";
import { NETWORK } from "./command-line.ts";
import type { Qmp } from "./qmp.ts";

/** Makes the guest's ports reachable on the host. Rejects, naming the port, when one is taken. */
export async function forwardPorts(qmp: Qmp, ports: readonly PortForward[]): Promise<void> {
  await Promise.all(ports.map((port) => forward(qmp, port)));
}

async function forward(qmp: Qmp, { protocol, hostAddress, hostPort, guestPort }: PortForward): Promise<void> {
  const where = `${hostAddress}:${hostPort}`;
  if (!isIPv4(hostAddress) || !isPort(hostPort) || !isPort(guestPort)) {
    throw new LaunchError(
      "vmm",
      "bad_port",
      `${where} cannot be forwarded to port ${guestPort} of the guest`,
    );
  }
  // The monitor's protocol proper has no such command.
  const complaint = await qmp.human(`hostfwd_add ${NETWORK} ${protocol}:${where}-:${guestPort}`);
  if (complaint !== "") {
    throw new LaunchError(
      "vmm",
      "port_unavailable",
      `${protocol} port ${where} cannot be opened: ${complaint}`,
    );
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}
