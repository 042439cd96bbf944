import type { Command } from "commander";
import type { Runner } from "../runner.ts";
import { leaf } from "./common.ts";

/** Flags of `hover trace`. */
export interface TraceFlags {
  readonly create?: boolean;
  readonly all?: boolean;
  readonly app?: string;
}

/** `hover trace`, `hover doctor`, `hover version`. */
export function defineTools(program: Command, runner: Runner): void {
  leaf(
    program,
    "trace <machine|trace-id>",
    "Shows where the time of a machine's last start went, as a waterfall",
  )
    .option("--create", "the machine's create instead of its last start")
    .option("--all", "every span, short ones too, instead of folding those")
    .option("-a, --app <app>", "app of a machine that is given by name")
    .action(
      runner.action<[string], TraceFlags>(
        ([machine]) => ({ machine }),
        async () => (await import("../commands/trace.ts")).showTrace,
      ),
    );

  leaf(
    program,
    "doctor",
    "Checks everything that must be right, and says what to do about what is not",
  ).action(
    runner.action<[], object>(
      () => ({}),
      async () => (await import("../commands/doctor.ts")).runDoctor,
    ),
  );

  leaf(program, "version", "Prints versions").action(
    runner.action<[], object>(
      () => ({}),
      async () => (await import("../commands/version.ts")).showVersion,
    ),
  );
}
