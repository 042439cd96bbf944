import { randomBytes } from "node:crypto";
import { type App, AppsServiceClient } from "../../../gen/windhover/machines/v1/apps.ts";
import { toJson } from "../../render/json.ts";
import { table } from "../../render/table.ts";
import { ago } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import { pages, type Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { defineHostname } from "./hostname.ts";

/** `--force` destroys the machines one after the other. */
const DESTROY_TIMEOUT_MS = 5 * 60_000;

export function defineApp(app: HoverCommand): void {
  app
    .leaf("create [name]", "Creates an app")
    .option("-o, --org <slug>", "organisation that owns it (default: the token's)")
    .option("-n, --name <name>", "its name, as flyctl has it")
    .option("--generate-name", "make a name")
    .option("--network <name>", "private network; kept, and not acted on yet")
    .examples("hover app create web", "hover app create --generate-name -o acme")
    .runs<[string | undefined], CreateFlags>(createApp, ([name], { org }) => ({ app: name, org }));
  app
    .leaf("list", "Lists the apps of your organisation")
    .alias("ls")
    .option("-q, --quiet", "print names only")
    .option("-o, --org <slug>", "only those of this organisation")
    .examples("hover app list", "hover app list -q")
    .runs<[], ListFlags>(listApps);
  app
    .leaf("show <name>", "Shows an app")
    .alias("status")
    .examples("hover app show web")
    .runs<[string], object>(showApp, ([name]) => ({ app: name }));
  app
    .leaf("destroy <name>", "Deletes an app")
    .aliases(["rm", "remove"])
    .option("-f, --force", "destroy its machines first, running ones too")
    .option("-y, --yes", "always so: no confirmation is asked for")
    .examples("hover app destroy web --force")
    .runs(destroyApp, ([name]) => ({ app: name }));
  defineHostname(app);
}

interface CreateFlags {
  readonly org?: string;
  readonly name?: string;
  readonly generateName?: boolean;
  readonly network?: string;
}

interface ListFlags {
  readonly quiet?: boolean;
  readonly org?: string;
}

async function createApp(
  session: Session,
  [given]: [string | undefined],
  { org = "", network = "", ...flags }: CreateFlags,
): Promise<void> {
  const made = flags.generateName ? `app-${randomBytes(4).toString("hex")}` : undefined;
  const name = given ?? flags.name ?? made;
  if (name === undefined) throw new UsageError("Which name? Give one, or --generate-name.");
  const request = { network, name, org, requestId: "" };
  const client = await session.client(AppsServiceClient);
  await session.inSpan("hover app create", async (span) => {
    const { app } = await session.call(client, client.createApp, request, { span });
    span.end();
    if (session.json) return session.printJson(toJson(app));
    session.printLines([`${app?.name ?? name} created  (organisation ${app?.org ?? "unknown"})`]);
    session.suggest(`hover machine run IMAGE -a ${app?.name ?? name}`);
  });
}

async function listApps(session: Session, _args: [], flags: ListFlags): Promise<void> {
  const client = await session.client(AppsServiceClient);
  const apps: App[] = [];
  for await (const page of pages((page) => session.call(client, client.listApps, page)))
    apps.push(...page.apps.filter(({ org }) => flags.org === undefined || org === flags.org));
  if (session.json) return session.printJson(apps.map((app) => toJson(app)));
  if (flags.quiet) return session.printLines(apps.map((app) => app.name));
  if (apps.length === 0) {
    session.say("No apps.");
    return session.suggest("hover app create NAME");
  }
  const columns = [
    { title: "NAME", min: 12 },
    { title: "ORG", min: 8 },
    { title: "MACHINES", align: "right" as const },
    { title: "CREATED" },
  ];
  const rows = apps.map(({ name, org, machineCount, createTime }) => [
    ...[name, org, String(machineCount), ago(createTime, Date.now())],
  ]);
  session.printLines(table(columns, rows, session.terminal.width));
}

async function showApp(session: Session, [name]: [string]): Promise<void> {
  const client = await session.client(AppsServiceClient);
  const { app } = await session.call(client, client.getApp, { name });
  if (session.json) return session.printJson(toJson(app));
  const owner = app?.orgName && app.orgName !== app.org ? `${app.org}  (${app.orgName})` : (app?.org ?? "-");
  session.printLines([
    `name          ${app?.name ?? name}`,
    `organisation  ${owner}`,
    `machines      ${app?.machineCount ?? 0}`,
    ...(app?.network ? [`network       ${app.network}`] : []),
    `created       ${ago(app?.createTime, Date.now())}`,
  ]);
  session.suggest(`hover machine list -a ${app?.name ?? name}`);
}

async function destroyApp(session: Session, [name]: [string], flags: { force?: boolean }): Promise<void> {
  const client = await session.client(AppsServiceClient);
  const request = { name, force: flags.force === true };
  const options = { timeoutMs: DESTROY_TIMEOUT_MS };
  const { machinesDestroyed } = await session.call(client, client.deleteApp, request, options);
  if (session.json) return session.printJson({ name, machines_destroyed: machinesDestroyed });
  const machines = machinesDestroyed > 0 ? `, and ${machinesDestroyed} machine(s) of it` : "";
  session.printLines([`${name} destroyed${machines}`]);
}
