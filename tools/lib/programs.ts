import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where Debian puts programs that a user's PATH may lack. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The absolute path of a program; undefined when the machine has none of that name. */
export function findProgram(name: string, path = process.env["PATH"] ?? ""): string | undefined {
  return [...path.split(delimiter), ...SYSTEM_FOLDERS]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** The folder with the newest Postgres server of this machine; undefined when there is none. */
export function findPostgres(): string | undefined {
  const versions = list("/usr/lib/postgresql")
    .filter((each) => /^\d+$/.test(each))
    .sort((a, b) => Number(b) - Number(a))
    .map((each) => join("/usr/lib/postgresql", each, "bin"));
  const onPath = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...versions, ...onPath].find(
    (folder) => isExecutable(join(folder, "postgres")) && isExecutable(join(folder, "initdb")),
  );
}

/** Like {@link findProgram}, for programs that set-up has made sure of. */
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

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
