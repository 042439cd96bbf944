import { HostServiceService } from "../gen/windhover/hostd/v1/hostd.ts";
import { type RpcRule, type RpcRules, rulesOf } from "../lib/auth/rpc-rules.ts";

const org = "org";
const machine = { kind: "machine", object: "machineId", org } as const;

function reads(action: string, about: Partial<RpcRule> = {}): RpcRule {
  return { action, scopes: ["internal"], isAudited: false, needsGoodStanding: false, ...about };
}

function changes(action: string, about: Partial<RpcRule> = {}): RpcRule {
  return { ...reads(action, about), isAudited: true };
}

/** What each RPC of hostd needs, does and is about. A method that is not here is refused. */
export const RULES: RpcRules = rulesOf(HostServiceService, {
  createMachine: changes("machines:create", { kind: "machine", made: "machine.id" }),
  prepareMachine: changes("machines:prepare", { kind: "machine", object: "machineId" }),
  getMachine: reads("machines:get", machine),
  listMachines: reads("machines:list"),
  setScheduling: changes("hosts:schedule"),
  startMachine: { ...changes("machines:start", machine), needsGoodStanding: true },
  stopMachine: changes("machines:stop", machine),
  destroyMachine: changes("machines:destroy", machine),
  waitMachine: reads("machines:wait", machine),
  watchMachines: reads("machines:watch"),
  suspendMachine: changes("machines:suspend", machine),
  attachProxy: reads("proxies:attach"),
  streamLogs: reads("machines:logs", machine),
  getMachines: reads("machines:get"),
  updateMachine: { ...changes("machines:update", machine), needsGoodStanding: true },
  restartMachine: { ...changes("machines:restart", machine), needsGoodStanding: true },
  signalMachine: changes("machines:signal", machine),
  setMachineCordon: changes("machines:cordon", machine),
  updateMetadata: changes("machines:update-metadata", machine),
  acquireLease: changes("leases:acquire", machine),
  getLease: reads("leases:get", machine),
  releaseLease: changes("leases:release", machine),
  execMachine: {
    ...changes("machines:exec", { kind: "machine", object: "request.machineId", org }),
    needsGoodStanding: true,
  },
  listProcesses: reads("machines:list-processes", machine),
  getHost: reads("hosts:get"),
});
