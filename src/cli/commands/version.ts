import type { Handler } from "../runner.ts";
import { versionOf } from "../version.ts";

/** `hover version`. */
export const showVersion: Handler<[], object> = async (session) => {
  const { dir, api } = session.settings;
  const version = versionOf();
  const { node } = process.versions;
  if (session.json) session.printJson({ version, node, dir, api: api.value });
  else session.printLines([`hover ${version}  (node ${node}, api ${api.value}, fleet ${dir})`]);
  return undefined;
};
