import { Option } from "commander";
import {
  RegistriesServiceClient,
  RegistryCredentialsKind,
  type RegistryLogin,
} from "../../../gen/windhover/machines/v1/registries.ts";
import { toJson } from "../../render/json.ts";
import { table } from "../../render/table.ts";
import { ago } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { pages, type Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { type LoginFlags, login } from "./login.ts";

const KINDS: Readonly<Record<RegistryCredentialsKind, string>> = {
  [RegistryCredentialsKind.UNSPECIFIED]: "unknown",
  [RegistryCredentialsKind.UNRECOGNIZED]: "unknown",
  [RegistryCredentialsKind.PASSWORD]: "password",
  [RegistryCredentialsKind.IDENTITY_TOKEN]: "identity token",
  [RegistryCredentialsKind.REGISTRY_TOKEN]: "registry token",
};

export function defineRegistry(registry: HoverCommand): void {
  registry
    .leaf("login [registry]", "Stores credentials that your organisation's images are pulled with")
    .option("-u, --username <name>", "user name (default: it is asked for)")
    .option("--password-stdin", "read the password from standard input (default: it is asked for)")
    .option("--identity-token", "what is read is an identity token, which Docker keeps as `identitytoken`")
    .option("--registry-token", "what is read is a token that is sent to the registry as it is")
    .option(
      "--from-docker-config [path]",
      "take what docker login has stored (default: ~/.docker/config.json), for all registries unless one is named",
    )
    .option("--no-check", "do not ask the registry whether it takes them")
    .addOption(new Option("-p, --password <password>").hideHelp())
    .examples(
      "hover registry login ghcr.io -u me",
      "echo $TOKEN | hover registry login ghcr.io -u me --password-stdin",
    )
    .runs<[string | undefined], LoginFlags>(login);
  registry
    .leaf("list", "Lists the registries that your organisation is logged in to")
    .alias("ls")
    .option("-q, --quiet", "print names only")
    .examples("hover registry list")
    .runs(listRegistries);
  registry
    .leaf("logout <registry>", "Removes your organisation's credentials for a registry")
    .examples("hover registry logout ghcr.io")
    .runs(logout);
}

async function listRegistries(session: Session, _args: [], flags: { quiet?: boolean }): Promise<void> {
  const client = await session.client(RegistriesServiceClient);
  const logins: RegistryLogin[] = [];
  const read = (page: { pageSize: number; pageToken: string }) =>
    session.call(client, client.listRegistryCredentials, page);
  for await (const page of pages(read)) logins.push(...page.logins);
  if (session.json) return session.printJson(logins.map((each) => toJson(each)));
  if (flags.quiet) return session.printLines(logins.map(({ registry }) => registry));
  if (logins.length === 0) {
    session.say("Logged in to no registry.");
    return session.suggest("hover registry login REGISTRY");
  }
  const columns = [
    { title: "REGISTRY", min: 12 },
    { title: "USERNAME", min: 8 },
    { title: "KIND" },
    { title: "STORED" },
  ];
  const rows = logins.map(({ registry, username, kind, updateTime }) => [
    ...[registry, username, KINDS[kind] ?? "unknown", ago(updateTime, Date.now())],
  ]);
  session.printLines(table(columns, rows, session.terminal.width));
}

async function logout(session: Session, [registry]: [string]): Promise<void> {
  if (registry === "") throw new UsageError("a registry is needed, such as ghcr.io");
  const client = await session.client(RegistriesServiceClient);
  await session.call(client, client.deleteRegistryCredentials, { registry });
  if (session.json) return session.printJson({ registry });
  session.printLines([`Logged out of ${registry}`]);
}
