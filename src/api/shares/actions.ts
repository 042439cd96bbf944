import type { Action } from "./rates.ts";

/** Actions of methods that their names do not tell. */
const BY_METHOD: Readonly<Record<string, Action>> = {
  CreateMachine: "create",
  StartMachine: "start",
  AcquireMachine: "start",
  StopMachine: "stop",
  DestroyMachine: "stop",
  UpdateMachine: "create",
  RestartMachine: "start",
  SuspendMachine: "stop",
  SignalMachine: "stop",
  SetMachineCordon: "stop",
  UpdateMetadata: "start",
  AcquireLease: "start",
  ReleaseLease: "stop",
  EstimatePlacements: "read",
  WatchMachines: "follow",
  WaitMachine: "follow",
  StreamLogs: "follow",
  WatchCreate: "follow",
  ReadAudit: "follow",
  RunCommand: "exec",
  ExecMachine: "exec",
  ListProcesses: "exec",
};
const READS = /^(?:Get|List|Find|Describe)/;

/** Returns the action of a method, by its path, e.g. `/windhover.machines.v1.AppsService/GetApp`. */
export function actionOf(path: string): Action {
  const method = path.slice(path.lastIndexOf("/") + 1);
  return BY_METHOD[method] ?? (READS.test(method) ? "read" : "admin");
}
