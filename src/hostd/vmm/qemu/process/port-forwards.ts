import { isIPv4 } from "node:net";
import { LaunchError, type PortForward } from "../../vmm.ts";
import type { Qmp } from "../monitor/qmp.ts";
import { NETWORK } from "./command-line.ts";

/** Makes the guest's ports reachable on the host. Rejects, naming the port, when one is taken. */
export async function forwardPorts(qmp: Qmp, ports: readonly PortForward[]): Promise<void> {
  await Promise.all(ports.map((port) => forward(qmp, port)));
}

async function forward(qmp: Qmp, { protocol, hostAddress, hostPort, guestPort }: PortForward): Promise<void> {
  const host = `${hostAddress}:${hostPort}`;
  if (!isIPv4(hostAddress) || !isPort(hostPort) || !isPort(guestPort)) {
    const message = `${host} cannot be forwarded to port ${guestPort} of the guest`;
    throw new LaunchError("vmm", "bad_port", message);
  }
  // QMP has no such command.
  const error = await qmp.executeHuman(`hostfwd_add ${NETWORK} ${protocol}:${host}-:${guestPort}`);
  if (error !== "") {
    throw new LaunchError("vmm", "port_unavailable", `${protocol} port ${host} cannot be opened: ${error}`);
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}
