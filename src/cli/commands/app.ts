import { type App, AppsServiceClient } from "../../gen/windhover/machines/v1/apps.ts";
import { table } from "../render/table.ts";
import { ago } from "../render/time.ts";
import { toFault } from "../report.ts";
import type { Handler } from "../runner.ts";
import { appJson } from "../show/json.ts";
import { RootSpan } from "../trace/root-span.ts";

/** Deleting an app with `--force` destroys its machines one after the other. */
const DESTROY_TIMEOUT_MS = 5 * 60_000;

/** `hover app create`. */
export const createApp: Handler<[string], { org?: string }> = async (session, [name], flags) => {
  const client = await session.client(AppsServiceClient);
  const span = new RootSpan("hover app create");
  try {
    const { app } = await session.call(client, client.createApp, { name, org: flags.org ?? "" }, { span });
    if (session.json) session.printJson(app ? appJson(app) : null);
    else {
      session.printLines([`${app?.name ?? name} created  (organisation ${app?.org ?? "unknown"})`]);
      session.say(`Next: hover machine run IMAGE -a ${app?.name ?? name}`);
    }
    span.end();
  } catch (err) {
    span.end({ reason: toFault(err).reason });
    throw err;
  } finally {
    await span.send(session.settings);
  }
  return undefined;
};

/** `hover app list`. */
export const listApps: Handler<[], { quiet?: boolean }> = async (session, _args, flags) => {
  const client = await session.client(AppsServiceClient);
  const apps: App[] = [];
  let pageToken = "";
  do {
    const page = await session.call(client, client.listApps, { pageSize: 1_000, pageToken });
    apps.push(...page.apps);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  if (session.json) session.printJson(apps.map(appJson));
  else if (flags.quiet) session.printLines(apps.map((app) => app.name));
  else if (apps.length === 0) session.say("No apps.\nNext: hover app create NAME");
  else {
    const rows = apps.map((app) => [
      app.name,
      app.org,
      String(app.machineCount),
      ago(app.createTime, Date.now()),
    ]);
    const columns = [
      { title: "NAME", min: 12 },
      { title: "ORG", min: 8 },
      { title: "MACHINES", align: "right" as const },
      { title: "CREATED" },
    ];
    session.printLines(table(columns, rows, session.terminal.width));
  }
  return undefined;
};

/** `hover app destroy`. */
export const destroyApp: Handler<[string], { force?: boolean }> = async (session, [name], flags) => {
  const client = await session.client(AppsServiceClient);
  const request = { name, force: flags.force === true };
  const { machinesDestroyed } = await session.call(client, client.deleteApp, request, {
    timeoutMs: DESTROY_TIMEOUT_MS,
  });
  if (session.json) session.printJson({ name, machines_destroyed: machinesDestroyed });
  else
    session.printLines([
      `${name} destroyed${machinesDestroyed > 0 ? `, and ${machinesDestroyed} machine(s) of it` : ""}`,
    ]);
  return undefined;
};
