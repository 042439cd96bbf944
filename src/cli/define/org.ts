import type { Command } from "commander";
import { duration, memoryMb, whole, words } from "../parse/values.ts";
import type { Runner } from "../runner.ts";
import { group, leaf } from "./common.ts";

/** Flags that set a quota. */
export interface QuotaFlags {
  readonly machines?: number;
  readonly memory?: number;
}

/** `hover org` and `hover token`: what operators do. */
export function defineOrg(program: Command, runner: Runner): void {
  const org = group(
    program,
    "org",
    ["orgs"],
    "Organisations, their standing and quota (needs the scope admin)",
  );

  quotaFlags(leaf(org, "create <slug>", "Creates an organisation"))
    .option("-n, --name <name>", "name for people (default: the slug)")
    .action(
      runner.action<[string], QuotaFlags & { name?: string }>(
        ([slug]) => ({ org: slug }),
        async () => (await import("../commands/org.ts")).createOrg,
      ),
    );

  leaf(org, "list", "Lists organisations")
    .alias("ls")
    .action(
      runner.action<[], object>(
        () => ({}),
        async () => (await import("../commands/org.ts")).listOrgs,
      ),
    );

  leaf(org, "show <slug>", "Shows an organisation and what it uses").action(
    runner.action<[string], object>(
      ([slug]) => ({ org: slug }),
      async () => (await import("../commands/org.ts")).showOrg,
    ),
  );

  leaf(
    org,
    "set-standing <slug> <standing>",
    "Says whether an organisation may create: good, past_due or banned",
  ).action(
    runner.action<[string, string], object>(
      ([slug]) => ({ org: slug }),
      async () => (await import("../commands/org.ts")).setStanding,
    ),
  );

  quotaFlags(
    leaf(org, "set-quota <slug>", "Says how much an organisation may have; what is not given stays"),
  ).action(
    runner.action<[string], QuotaFlags>(
      ([slug]) => ({ org: slug }),
      async () => (await import("../commands/org.ts")).setQuota,
    ),
  );

  const token = group(program, "token", ["tokens"], "Access tokens (needs the scope admin)");
  leaf(token, "create", "Mints a token and prints it; it is not stored anywhere")
    .requiredOption("-o, --org <slug>", "organisation it speaks for")
    .option(
      "-s, --scope <scopes>",
      "machines:read, machines:write, admin; several with commas (default: machines:read,machines:write)",
      words,
    )
    .option("--ttl <time>", "how long it is valid, 1m to 365d (default: 1d)", duration)
    .action(
      runner.action<[], { org: string; scope?: readonly string[]; ttl?: number }>(
        (_args, { org: slug }) => ({ org: slug }),
        async () => (await import("../commands/token.ts")).createToken,
      ),
    );
}

function quotaFlags(command: Command): Command {
  return command
    .option("--machines <n>", "machines it may have", whole(0, 1_000_000))
    .option("--memory <amount>", "memory of all its machines, e.g. 64gb", memoryMb);
}
