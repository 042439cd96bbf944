import { InvalidArgumentError, Option } from "commander";
import type { FileConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import type { HoverCommand } from "../../command.ts";
import { port } from "../../port-flag.ts";
import { amountMb, duration, pair, signalName, whole } from "../../values.ts";
import { fileLiteral, fileLocal } from "./file-flags.ts";
import type { ServiceFlags } from "./services.ts";
import { type VmSize, vmSize } from "./vm-sizes.ts";

/** Flags that describe the machine. */
export interface ConfigFlags extends ServiceFlags {
  readonly config?: string;
  readonly machineConfig?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly vmSize?: VmSize;
  readonly vmMemory?: number;
  readonly vmCpus?: number;
  readonly vmCpuKind?: string;
  readonly entrypoint?: string;
  readonly command?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly signal?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly restart?: string;
  readonly restartMaxRetries?: number;
  readonly rm?: boolean;
  readonly schedule?: string;
  readonly snapshot?: string;
  /** Milliseconds. */
  readonly maxLifetime?: number;
  readonly fileLocal?: readonly FileConfig[];
  readonly fileLiteral?: readonly FileConfig[];
}

/** Adds the flags that describe a machine, and refuses those of flyctl that cannot be. */
export function configOptions(command: HoverCommand): HoverCommand {
  return refuseOthers(
    command
      .option("-e, --env <NAME=VALUE>", "environment variable; may be repeated", pair)
      .option(
        "-p, --port <port>",
        "PORT[:MACHINE_PORT][/PROTOCOL[:HANDLER...]]: 8080, 443:8080/tcp:tls:http; 80/tcp:- removes; may be repeated",
        port,
      )
      .option("-m, --metadata <NAME=VALUE>", "label of the machine; may be repeated", pair)
      .option("--vm-size <size>", "shared-cpu-1x ... performance-16x (default: shared-cpu-1x)", vmSize)
      .option("--vm-memory <amount>", "memory: 512, 512mb, 1gb (default: the smallest)", amountMb)
      .option("--vm-cpus <n>", "virtual CPUs, 1 to 16 (default: 1)", whole(1, 1_024))
      .option("--vm-cpu-kind <kind>", "shared or performance (default: shared)")
      .option("--entrypoint <command>", "replaces the image's entrypoint; quotes as in a shell")
      .option("--command <command>", "replaces the image's command; quotes as in a shell")
      .option("--user <user[:group]>", "user to run as (default: the image's)")
      .option("--workdir <path>", "working directory (default: the image's)")
      .option("-s, --signal <signal>", "signal that stops it (default: SIGINT, or the image's)", signalName)
      .option("--timeout <time>", "time between that signal and SIGKILL (default: 5s)", duration)
      .option(
        "--restart <policy>",
        "no, on-failure or always: when its program ends by itself",
        restartPolicy,
      )
      .option("--restart-max-retries <n>", "restarts within 5 minutes (default: 10)", whole(1, 10_000))
      .option("--rm", "destroy it when its program has ended")
      .option("--schedule <how often>", "start it hourly, daily, weekly or monthly")
      .addOption(AUTOSTART)
      .addOption(AUTOSTOP)
      .addOption(SNAPSHOT)
      .option("--max-lifetime <time>", "stop it when it has run so long: 30m, 24h (0: never)", duration)
      .option("--file-local <path=local>", "write a local file into the guest; may be repeated", fileLocal)
      .option("--file-literal <path=base64>", "write a file into the guest; may be repeated", fileLiteral)
      .option(
        "-c, --config <file.json>",
        "whole configuration, as `status --json` shows it; flags override it",
      )
      .option("--machine-config <json|file>", "the same as Fly's JSON; what is not known is kept, and named")
      .option("--skip-dns-registration", "always so: machines have no entry in a DNS yet"),
  );
}

function refuseOthers(command: HoverCommand): HoverCommand {
  const build = [
    ...["--dockerfile <path>", "--build-arg <arg>", "--build-target <stage>", "--build-secret <secret>"],
    ...["--build-only", "--build-local-only", "--build-remote-only", "--build-depot", "--build-nixpacks"],
    ...["--image-label <label>", "--no-build-cache", "--local-only", "--remote-only"],
  ];
  return command
    .refuses("hover builds no images: push one to a registry and name it.", ...build)
    .refuses(
      "there are no volumes yet.",
      ...[
        "-v, --volume <volume>",
        "--mount-point <path>",
        "--attach-volume <volume>",
        "--from-snapshot <id>",
      ],
      "--volume-requires-unique-zone",
    )
    .refuses("there are no GPUs.", "--vm-gpu-kind <kind>", "--vm-gpus <n>")
    .refuses("there are no standby machines yet.", "--standby-for <ids>")
    .refuses("there are no secrets yet; --file-literal has the content.", "--file-secret <path=name>")
    .refuses("kernel and init of the guest are Windhover's own.", "--kernel-arg <arg>")
    .refuses("a guest has no swap.", "--swap-size <amount>")
    .refuses(
      "the root file system is the image and a scratch disk.",
      ...["--rootfs-persist <mode>", "--rootfs-size <amount>", "--cachedrive-size <amount>"],
    )
    .refuses("use --on-host or --host-label.", "--host-dedication-id <id>")
    .refuses("a machine gets its id from the server; hover machine update changes one.", "--id <id>");
}

const POLICIES: Readonly<Record<string, string>> = { never: "no", "on-fail": "on-failure" };

/** Parses `--restart`; flyctl also has other names. */
function restartPolicy(raw: string): string {
  const policy = Object.hasOwn(POLICIES, raw) ? (POLICIES[raw] ?? raw) : raw;
  if (["no", "on-failure", "always"].includes(policy)) return policy;
  throw new InvalidArgumentError(`Policies are no, on-failure and always; not "${raw}".`);
}

const AUTOSTART = new Option("--autostart [boolean]", "let proxies start it for a request")
  .choices(["true", "false"])
  .preset("true");
const AUTOSTOP = new Option("--autostop [mode]", "what proxies do with it when it is idle")
  .choices(["off", "stop", "suspend", "true", "false"])
  .preset("stop");
const SNAPSHOT = new Option("--snapshot <when>", "save it when it is ready, and start from there").choices([
  "off",
  "ready",
]);
