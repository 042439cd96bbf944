import { accessSync, constants, globSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian's folders that a user's PATH may lack. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Finds the absolute path of a program. */
export function findProgram(name: string, path = process.env["PATH"] ?? ""): string | undefined {
  return [...path.split(delimiter), ...SYSTEM_FOLDERS]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** Finds the folder of the newest Postgres server. */
export function findPostgres(): string | undefined {
  const version = (folder: string) => Number(folder.split("/").at(-2));
  const packaged = globSync("/usr/lib/postgresql/*/bin").sort((a, b) => version(b) - version(a));
  const onPath = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...packaged, ...onPath].find((folder) =>
    ["postgres", "initdb"].every((name) => isExecutable(join(folder, name))),
  );
}

/** Like {@link findProgram}, for programs that set-up installs. */
export function program(name: string): string {
  const found = findProgram(name);
  if (found === undefined) throw new Error(`${name} is not on this machine; npm run setup installs it`);
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
