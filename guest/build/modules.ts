import { readFileSync } from "node:fs";
import { basename } from "node:path";

/**
 * Orders modules so that each comes after all it depends on. `files` are the paths of all modules
 * there are. Throws when one is missing or two depend on each other.
 */
export function orderModules(wanted: readonly string[], files: readonly string[]): string[] {
  const byName = new Map(files.map((file) => [moduleName(file), file]));
  const ordered: string[] = [];
  const open = new Set<string>();
  const add = (name: string): void => {
    const file = byName.get(name);
    if (file === undefined) throw new Error(`the kernel package has no module ${name}`);
    if (ordered.includes(file)) return;
    if (open.has(name)) throw new Error(`module ${name} depends on itself`);
    open.add(name);
    for (const dependency of readDependencies(readFileSync(file))) add(dependency);
    ordered.push(file);
  };
  for (const name of wanted) add(name);
  return ordered;
}

/** Reads the names of the modules that a module depends on from its `.modinfo` section. */
export function readDependencies(module: Buffer): string[] {
  // The package has no modules.dep: depmod makes it at installation.
  const marker = Buffer.from("\0depends=");
  const at = module.indexOf(marker);
  if (at < 0) return [];
  const from = at + marker.length;
  const list = module.toString("latin1", from, module.indexOf(0, from));
  return list === "" ? [] : list.split(",").map((name) => name.replaceAll("-", "_"));
}

function moduleName(file: string): string {
  return basename(file, ".ko").replaceAll("-", "_");
}
