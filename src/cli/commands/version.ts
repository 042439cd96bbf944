import type { Session } from "../session/session.ts";
import { readVersion } from "../session/version.ts";

export async function showVersion(session: Session): Promise<void> {
  const { dir, api } = session.settings;
  const version = readVersion();
  const { node } = process.versions;
  if (session.json) session.printJson({ version, node, dir, api: api.value });
  else session.printLines([`hover ${version}  (node ${node}, API ${api.value}, fleet ${dir})`]);
}
