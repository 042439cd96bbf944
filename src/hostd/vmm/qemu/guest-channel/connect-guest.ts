import { LaunchError } from "../../vmm.ts";
import { PROTOCOL_VERSION } from "../guest-protocol/protocol.ts";
import type { RunningQemu } from "../process/start-qemu.ts";
import { Agent } from "./agent.ts";

/** Connects to a new VM's agent and waits for its answer. Rejects when it has another protocol. */
export async function connectGuest(runDir: string, { lifetime }: RunningQemu): Promise<Agent> {
  const agent = await Agent.connect(runDir);
  try {
    const { protocol } = await agent.sync(0, lifetime);
    if (protocol !== PROTOCOL_VERSION) {
      throw new LaunchError("vmm", "protocol", `the guest has version ${protocol} of the protocol`);
    }
    return agent;
  } catch (err) {
    agent.close();
    throw err;
  }
}
