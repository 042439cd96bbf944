import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Handler } from "../runner.ts";

/** `hover version`. */
export const showVersion: Handler<[], object> = async (session) => {
  // Our own file, beside this code.
  const { version } = JSON.parse(readFileSync(join(session.settings.root, "package.json"), "utf8")) as {
    version: string;
  };
  const { dir, api } = session.settings;
  if (session.json) session.printJson({ version, node: process.versions.node, dir, api: api.value });
  else
    session.printLines([`hover ${version}  (node ${process.versions.node}, api ${api.value}, fleet ${dir})`]);
  return undefined;
};
