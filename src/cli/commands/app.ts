import { type App, AppsServiceClient } from "../../gen/windhover/machines/v1/apps.ts";
import { toJson } from "../render/json.ts";
import { table } from "../render/table.ts";
import { ago } from "../render/time.ts";
import { pages, type Session } from "../session/session.ts";
import type { HoverCommand } from "./command.ts";

/** `--force` destroys the machines one after the other. */
const DESTROY_TIMEOUT_MS = 5 * 60_000;

export function defineApp(app: HoverCommand): void {
  app
    .leaf("create <name>", "Creates an app")
    .option("-o, --org <slug>", "organisation that owns it (default: the token's)")
    .runs(createApp, ([name], { org }) => ({ app: name, org }));
  app
    .leaf("list", "Lists the apps of your organisation")
    .alias("ls")
    .option("-q, --quiet", "print names only")
    .runs(listApps);
  app
    .leaf("destroy <name>", "Deletes an app")
    .aliases(["rm", "remove"])
    .option("-f, --force", "destroy its machines first, running ones too")
    .runs(destroyApp, ([name]) => ({ app: name }));
}

async function createApp(session: Session, [name]: [string], { org = "" }: { org?: string }): Promise<void> {
  const client = await session.client(AppsServiceClient);
  await session.inSpan("hover app create", async (span) => {
    const { app } = await session.call(client, client.createApp, { network: "", name, org }, { span });
    span.end();
    if (session.json) return session.printJson(toJson(app));
    session.printLines([`${app?.name ?? name} created  (organisation ${app?.org ?? "unknown"})`]);
    session.suggest(`hover machine run IMAGE -a ${app?.name ?? name}`);
  });
}

async function listApps(session: Session, _args: [], flags: { quiet?: boolean }): Promise<void> {
  const client = await session.client(AppsServiceClient);
  const apps: App[] = [];
  for await (const page of pages((page) => session.call(client, client.listApps, page)))
    apps.push(...page.apps);
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

async function destroyApp(session: Session, [name]: [string], flags: { force?: boolean }): Promise<void> {
  const client = await session.client(AppsServiceClient);
  const request = { name, force: flags.force === true };
  const options = { timeoutMs: DESTROY_TIMEOUT_MS };
  const { machinesDestroyed } = await session.call(client, client.deleteApp, request, options);
  if (session.json) return session.printJson({ name, machines_destroyed: machinesDestroyed });
  const machines = machinesDestroyed > 0 ? `, and ${machinesDestroyed} machine(s) of it` : "";
  session.printLines([`${name} destroyed${machines}`]);
}
