import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { identify } from "../lib/processes.ts";
import { findProgram } from "../lib/programs.ts";
import { run } from "../lib/run.ts";

/** Services of the packages. Windhover starts servers of its own and needs none of them. */
const UNITS = ["redis-server", "docker-registry", "postgresql", "prometheus"];

/** Debian runs this program before it starts or stops a service of a package. */
const POLICY = "/usr/sbin/policy-rc.d";
const SAVED_POLICY = `${POLICY}.before-windhover`;
const MARK = "Written by Windhover's set-up";
/** Keeps Postgres' package from making a database cluster. */
const NO_CLUSTER = "/etc/postgresql-common/createcluster.d/windhover.conf";

/** Runs an installation that starts no service and leaves no new one enabled. */
export async function withQuietServices(install: () => Promise<void>): Promise<void> {
  restoreSettings();
  const before = UNITS.filter(isInstalled);
  if (existsSync(POLICY)) renameSync(POLICY, SAVED_POLICY);
  writeFileSync(POLICY, policy());
  chmodSync(POLICY, 0o755);
  mkdirSync(dirname(NO_CLUSTER), { recursive: true });
  writeFileSync(NO_CLUSTER, `# ${MARK}, which removes it.\ncreate_main_cluster = false\n`);
  try {
    await install();
  } finally {
    await disable(UNITS.filter((unit) => isInstalled(unit) && !before.includes(unit)));
    restoreSettings();
  }
}

export function restoreSettings(): void {
  rmSync(NO_CLUSTER, { force: true });
  if (existsSync(POLICY) && readFileSync(POLICY, "utf8").includes(MARK)) rmSync(POLICY);
  if (existsSync(SAVED_POLICY) && !existsSync(POLICY)) renameSync(SAVED_POLICY, POLICY);
}

/** Refuses while this process runs; afterwards the machine's own policy counts. */
function policy(): string {
  const us = identify(process.pid);
  return `#!/bin/sh
# ${MARK}, which removes it. Has no effect once process ${process.pid} is gone.
started=$(sed 's/.*) //' /proc/${process.pid}/stat 2>/dev/null | cut -d ' ' -f 20)
[ "$started" = "${us?.startTicks}" ] && exit 101
[ -x ${SAVED_POLICY} ] && exec ${SAVED_POLICY} "$@"
exit 0
`;
}

function isInstalled(unit: string): boolean {
  return existsSync(`/etc/init.d/${unit}`) || existsSync(`/lib/systemd/system/${unit}.service`);
}

async function disable(units: readonly string[]): Promise<void> {
  const systemctl = findProgram("systemctl");
  const updateRc = findProgram("update-rc.d");
  for (const unit of units) {
    if (systemctl) await run(systemctl, ["disable", "--quiet", `${unit}.service`]);
    if (updateRc && existsSync(`/etc/init.d/${unit}`)) await run(updateRc, [unit, "disable"]);
  }
}
