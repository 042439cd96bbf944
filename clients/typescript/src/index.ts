export type { CreateAppOptions } from "./access/apps.ts";
export { attenuateToken, type Restrictions } from "./access/attenuate.ts";
export type { HeldLease, LeaseOptions } from "./access/leases.ts";
export type { Estimate } from "./access/platform.ts";
export type { Acquire, AcquireAttempt, Acquired, AcquireStep } from "./acquire/acquire.ts";
export type { CallOptions, TokenSource } from "./calls/caller.ts";
export { type Code, isWindhoverError, type Violation, WindhoverError } from "./calls/errors.ts";
export type { ExecEnvironment, ExecOptions, RunOptions, RunResult } from "./exec/exec.ts";
export type { ExecExit, ExecProcess } from "./exec/exec-process.ts";
export type { App } from "./gen/windhover/machines/v1/apps.ts";
export type { ListenSocket, Process, TerminalSize } from "./gen/windhover/machines/v1/exec.ts";
export type {
  DnsConfig,
  ExitEvent,
  FileConfig,
  GuestConfig,
  ImageRef,
  InitConfig,
  Lease,
  MachineConfig,
  RestartConfig,
  ServiceAddress,
  ServiceConfig,
  StopConfig,
} from "./gen/windhover/machines/v1/machine.ts";
export type { MachineVersion, WatchCreateResponse } from "./gen/windhover/machines/v1/machines.ts";
export type {
  GetCallerResponse,
  ListRegionsResponse,
  Region,
  RegionCapacity,
} from "./gen/windhover/machines/v1/platform.ts";
export type { LogLine, MachineChange } from "./machines/feeds.ts";
export type { MachinePage, Machines, Started } from "./machines/machines.ts";
export type {
  CreateMachine,
  DestroyOptions,
  Guarded,
  ListMachines,
  LogOptions,
  MachineConfigInput,
  MetadataOptions,
  RestartOptions,
  StartOptions,
  StopOptions,
  UpdateOptions,
  WaitOptions,
  WatchOptions,
} from "./machines/requests.ts";
export { duration, toMs } from "./values/duration.ts";
export { type FileContent, files } from "./values/files.ts";
export type { Input } from "./values/input.ts";
export type { HostStatus, Machine, MachineEvent, MachineState } from "./values/machine.ts";
export { Windhover, type WindhoverOptions } from "./windhover.ts";
