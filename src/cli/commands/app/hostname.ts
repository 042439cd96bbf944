import { AppsServiceClient, type Hostname } from "../../../gen/windhover/machines/v1/apps.ts";
import { toJson } from "../../render/json.ts";
import { table } from "../../render/table.ts";
import { ago } from "../../render/time.ts";
import { UsageError } from "../../session/faults/usage-error.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { APP_FLAG, type AppFlag, appOf } from "../find.ts";

const COLUMNS = [{ title: "HOST NAME", min: 12 }, { title: "APP", min: 6 }, { title: "ADDED" }];

/** Defines `hover app hostname`: host names that lead to an app. */
export function defineHostname(app: HoverCommand): void {
  const hostname = app.group("hostname", ["hostnames"], "Host names that lead to an app");
  hostname
    .leaf("add <hostname>", "Makes proxies send requests for a host name to an app")
    .option(...APP_FLAG)
    .examples(
      "hover app hostname add www.example.com -a web",
      "hover app hostname add '*.example.com' -a web",
    )
    .runs<[string], AppFlag>(addHostname, (_args, { app }) => ({ app }));
  hostname
    .leaf("list", "Lists the host names of an app")
    .alias("ls")
    .option(...APP_FLAG)
    .option("-q, --quiet", "print names only")
    .examples("hover app hostname list -a web")
    .runs<[], AppFlag & { quiet?: boolean }>(listHostnames, (_args, { app }) => ({ app }));
  hostname
    .leaf("remove <hostname>", "Takes a host name from an app")
    .alias("rm")
    .option(...APP_FLAG)
    .examples("hover app hostname remove www.example.com -a web")
    .runs<[string], AppFlag>(removeHostname, (_args, { app }) => ({ app }));
}

async function addHostname(session: Session, [name]: [string], flags: AppFlag): Promise<void> {
  const app = neededApp(session, flags);
  const client = await session.client(AppsServiceClient);
  const { hostname } = await session.call(client, client.addHostname, { app, hostname: name });
  if (session.json) return session.printJson(toJson(hostname));
  const added = hostname?.name ?? name;
  session.printLines([`${added} leads to ${app}, once its DNS record leads to the proxies`]);
  session.suggest(`hover app hostname list -a ${app}`);
}

async function listHostnames(
  session: Session,
  _args: [],
  flags: AppFlag & { quiet?: boolean },
): Promise<void> {
  const app = neededApp(session, flags);
  const client = await session.client(AppsServiceClient);
  const { hostnames } = await session.call(client, client.listHostnames, { app });
  if (session.json) return session.printJson(hostnames.map((each) => toJson(each)));
  if (flags.quiet) return session.printLines(hostnames.map(({ name }) => name));
  session.printLines(table(COLUMNS, hostnames.map(row), session.terminal.width));
}

async function removeHostname(session: Session, [name]: [string], flags: AppFlag): Promise<void> {
  const app = neededApp(session, flags);
  const client = await session.client(AppsServiceClient);
  await session.call(client, client.removeHostname, { app, hostname: name });
  if (session.json) return session.printJson({ app, hostname: name, removed: true });
  session.printLines([`${name} leads to ${app} no more`]);
}

function row({ name, app, createTime }: Hostname): string[] {
  return [name, app, createTime ? ago(createTime, Date.now()) : "always"];
}

function neededApp(session: Session, flags: AppFlag): string {
  const app = appOf(session, flags);
  if (app === undefined) throw new UsageError("Which app? Name it with -a, or set WINDHOVER_APP.");
  return app;
}
