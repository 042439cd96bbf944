import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Session } from "../../session/session.ts";
import { askConsole } from "./console-client.ts";

/** Prints a link that opens the web console once, within a minute; or opens it in a browser. */
export async function linkToPage(session: Session, opens: boolean): Promise<void> {
  const answer = await askConsole(session, "/api/links", {});
  const url = String(Object(answer)["url"]);
  if (session.json) session.printJson({ url });
  else session.printLines([url]);
  if (opens) await openInBrowser(session, url);
  else if (!session.json) session.say("It works once, within a minute.");
}

async function openInBrowser(session: Session, url: string): Promise<void> {
  const program = process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(program, [url], { detached: true, stdio: "ignore" });
  try {
    await once(child, "spawn");
    child.unref();
  } catch {
    session.say(`There is no ${program} here: open the link in a browser, within a minute.`);
  }
}
