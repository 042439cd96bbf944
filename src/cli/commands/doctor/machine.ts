import { existsSync } from "node:fs";
import { join } from "node:path";
import { namespaceProblem } from "../../../lib/confinement/user-namespaces.ts";
import type { Session } from "../../session/session.ts";
import type { Check } from "./check.ts";

interface Packages {
  missingPackages(needs: "run"): readonly { readonly name: string; readonly reason: string }[];
}

/** Checks Node, npm packages, generated code, system packages and the guest's kernel. */
export async function* checkMachine({ settings }: Session): AsyncGenerator<Check> {
  const { root, guestDir } = settings;
  const fix = `npm run setup   (in ${root})`;
  const check = (name: string, problem: string | undefined, detail: string): Check =>
    problem === undefined ? { name, status: "ok", detail } : { name, status: "fail", detail: problem, fix };

  const isNew = Number(process.versions.node.split(".")[0]) >= 24;
  yield check("node", isNew ? undefined : `${process.version}, 24 is needed`, process.version);

  const needed = ["node_modules/@grpc/grpc-js", "node_modules/commander", "src/gen/windhover"];
  const missing = needed.filter((path) => !existsSync(join(root, path)));
  const list = missing.length === 0 ? undefined : `missing: ${missing.join(", ")}`;
  yield check("npm packages", list, "installed, and code is generated");

  yield check("system packages", await missingPackages(root), "installed");

  const hasGuest = existsSync(join(guestDir, "guest.json"));
  const problem = hasGuest ? undefined : `no kernel and init in ${guestDir}`;
  yield check("guest", problem, `kernel and init are in ${guestDir}`);
  yield await checkNamespaces();
}

async function checkNamespaces(): Promise<Check> {
  const name = "namespaces";
  const problem = await namespaceProblem();
  if (problem === undefined) return { name, status: "ok", detail: "bubblewrap confines builds of images" };
  return {
    ...{ name, status: "warn", detail: `images are built with limits only: ${problem}` },
    fix: "install bubblewrap and allow user namespaces   (docs/operations.md)",
  };
}

async function missingPackages(root: string): Promise<string | undefined> {
  // The path is not known to the compiler: tools and the CLI do not depend on each other.
  const packages = (await import(join(root, "tools/setup/packages.ts"))) as Packages;
  const missing = packages.missingPackages("run");
  if (missing.length === 0) return undefined;
  return `missing: ${missing.map((each) => `${each.name} (${each.reason})`).join(", ")}`;
}
