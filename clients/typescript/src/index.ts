export type { Apps, CreateAppOptions } from "./access/apps.ts";
export { attenuateToken, type Restrictions } from "./access/attenuate.ts";
export type { HeldLease, LeaseOptions, Leases } from "./access/leases.ts";
export type { Estimate, Platform } from "./access/platform.ts";
export type { Tokens } from "./access/tokens.ts";
export type { Acquire, AcquireAttempt, Acquired, AcquireStep } from "./acquire/acquire.ts";
export type { CallOptions, TokenSource } from "./calls/caller.ts";
export {
  type Code,
  type ErrorDetails,
  isWindhoverError,
  type Violation,
  WindhoverError,
} from "./calls/errors.ts";
export type { Exec, ExecEnvironment, ExecOptions, RunOptions, RunResult } from "./exec/exec.ts";
export type { ExecExit, ExecProcess } from "./exec/exec-process.ts";
export type { Duration } from "./gen/google/protobuf/duration.ts";
export type { LaunchStep, StartAnyStep } from "./gen/windhover/machines/v1/acquire.ts";
export type { App, Hostname } from "./gen/windhover/machines/v1/apps.ts";
export type { ListenSocket, Process, TerminalSize } from "./gen/windhover/machines/v1/exec.ts";
export {
  type CheckConfig,
  type CheckHeader,
  type CheckStatus,
  type ConcurrencyConfig,
  type DnsConfig,
  type ExitEvent,
  type FileConfig,
  type GuestConfig,
  type HttpOptions,
  type ImageRef,
  type InitConfig,
  type Lease,
  type MachineConfig,
  type Placement,
  PlacementStrategy,
  type PortConfig,
  type ProxyProtoOptions,
  type RestartConfig,
  type ServiceAddress,
  type ServiceConfig,
  type StopConfig,
  type TlsOptions,
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
export type { Metadata } from "./machines/metadata.ts";
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
