import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Session } from "../session.ts";
import type { Check } from "./check.ts";

/** Parts of the project that this one looks into, because only they know what they need. */
interface Packages {
  missingPackages(needs: "run"): readonly { readonly name: string; readonly reason: string }[];
}

/** Node, npm packages, generated code, system packages, the guest's kernel: what this computer must have. */
export async function* checkMachine({ settings }: Session): AsyncGenerator<Check> {
  const { root, guestDir } = settings;
  const fix = `npm run setup   (in ${root})`;
  const major = Number(process.versions.node.split(".")[0]);
  yield major >= 24
    ? { name: "node", status: "ok", detail: process.version }
    : { name: "node", status: "fail", detail: `${process.version}, 24 is needed`, fix };

  const missing = ["node_modules/@grpc/grpc-js", "node_modules/commander", "src/gen/windhover"].filter(
    (path) => !existsSync(join(root, path)),
  );
  yield missing.length === 0
    ? { name: "npm packages", status: "ok", detail: "installed, and code is generated" }
    : { name: "npm packages", status: "fail", detail: `missing: ${missing.join(", ")}`, fix };

  yield await systemPackages(root, fix);

  yield existsSync(join(guestDir, "guest.json"))
    ? { name: "guest", status: "ok", detail: `kernel and init are in ${guestDir}` }
    : { name: "guest", status: "fail", detail: `no kernel and init in ${guestDir}`, fix };
}

async function systemPackages(root: string, fix: string): Promise<Check> {
  const name = "system packages";
  try {
    // Part of the same project; its path is not known to the compiler, so that the two stay apart.
    const packages = (await import(join(root, "tools/setup/packages.ts"))) as Packages;
    const missing = packages.missingPackages("run");
    if (missing.length === 0) return { name, status: "ok", detail: "all there" };
    const list = missing.map((each) => `${each.name} (${each.reason})`).join(", ");
    return { name, status: "fail", detail: `missing: ${list}`, fix };
  } catch (err) {
    const why = err instanceof Error ? err.message : String(err);
    return { name, status: "warn", detail: `could not be looked at: ${why}` };
  }
}
