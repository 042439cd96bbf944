import type { LifeSettings, ServiceSettings } from "../../lib/service-config/service-config.ts";

/** Configuration of a machine as the api sent it, whatever it leaves out left out. Returned unchanged. */
export interface MachineConfig extends LifeSettings {
  readonly image: string;
  readonly guest: { readonly cpuKind: string; readonly cpus: number; readonly memoryMb: number };
  readonly env: Readonly<Record<string, string>>;
  readonly init: InitConfig;
  readonly services: readonly ServiceConfig[];
  readonly stop: { readonly signal: string; readonly timeoutMs?: number };
  readonly metadata: Readonly<Record<string, string>>;
  readonly restart?: RestartConfig;
  readonly autoDestroy?: boolean;
  /** `hourly`, `daily`, `weekly` or `monthly`; empty or absent: never. */
  readonly schedule?: string;
  readonly files?: readonly FileConfig[];
  readonly dns?: DnsConfig;
  /** JSON that a client keeps with the configuration. hostd does not read it. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** Overrides of the image's command. Empty fields override nothing. */
export interface InitConfig {
  readonly exec: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly tty?: boolean;
}

/** A port of the guest that a port of the host is forwarded to, and what proxies do with it. */
export interface ServiceConfig extends ServiceSettings {
  readonly protocol: "tcp" | "udp";
  readonly internalPort: number;
}

/** What happens when the process ends by itself. */
export interface RestartConfig {
  /** `no`, `on-failure` or `always`; empty: `no`. */
  readonly policy: string;
  /** Within the window; 0: the default. */
  readonly maxRetries: number;
}

/** A file in the guest. */
export interface FileConfig {
  readonly guestPath: string;
  /** Base64. */
  readonly content: string;
  /** Permission bits; 0: the default. */
  readonly mode: number;
}

/** Name resolution in the guest. Empty fields override nothing. */
export interface DnsConfig {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
  readonly hostname: string;
}

/** The longest grace of a stop. */
export const MAX_STOP_MS = 300_000;
