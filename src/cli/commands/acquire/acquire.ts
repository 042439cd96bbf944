import type { HoverCommand } from "../command.ts";
import { APP_FLAG } from "../find.ts";
import { configOptions } from "../machine/config/config-flags.ts";
import { duration, pair, whole } from "../values.ts";
import type { AcquireArguments, AcquireFlags } from "./acquire-run.ts";
import type { StepFlag } from "./steps.ts";

export function defineAcquire(acquire: HoverCommand): void {
  // One list for three flags: their order on the command line is that of the steps.
  const stepFlags: StepFlag[] = [];
  const collect = (make: (raw: string) => StepFlag) => (raw: string) => {
    stepFlags.push(make(raw));
    return raw;
  };
  acquire
    .withProgram()
    .option(...APP_FLAG)
    .option(
      "--start <machine>",
      "step: start this machine, given by its id; steps are tried in their order here",
      collect((machineId) => ({ kind: "start", machineId })),
    )
    .option(
      "--start-any <regions>",
      "step: start any stopped machine of the app in these regions (ord; gru,ord; us; any)",
      collect((region) => ({ kind: "startAny", region })),
    )
    .option(
      "--launch <regions>",
      "step: launch the image in these regions",
      collect((region) => ({ kind: "launch", region })),
    )
    .option("-f, --file <file.json>", "the whole request: steps, key, timeout, hedge_after")
    .option("--label <NAME=VALUE>", "--start-any: a label that the machine must have; may be repeated", pair)
    .option("--key <key>", "the same key gives the same machine")
    .option("--step-timeout <time>", "for each step (default: what is left of the whole)", duration)
    .option("--deadline <time>", "for all steps (default: 60s)", duration)
    .option(
      "--hedge-after <time>",
      "begin the next step when one takes longer; 0: never (default: 2s)",
      duration,
    )
    .option("--host-label <KEY=VALUE>", "--launch: only hosts with this label; may be repeated", pair)
    .option("--on-host <n>", "--launch: only the host with this number", whole(0, 2 ** 20 - 1));
  configOptions(acquire)
    .examples(
      "hover acquire --start ID --start ID2",
      "hover acquire nginx -a web --start-any ord --launch ord --launch us --launch any --key job-42",
      "hover acquire -f steps.json --json",
    )
    .runs<AcquireArguments, AcquireFlags>(
      async (session, args, flags) =>
        (await import("./acquire-run.ts")).runAcquire(session, args, flags, stepFlags),
      (_args, { app }) => ({ app }),
    );
}
