import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {{ version?: string, integrity?: string, optional?: boolean }} LockedPackage */

/**
 * Installs what the lock file says, unless it is there already.
 *
 * @param {string} root
 * @param {(message: string) => never} fail
 */
export async function installPackages(root, fail) {
  if (isInstalled(root)) return;
  const startedAt = Date.now();
  const elapsed = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  process.stdout.write("npm packages: installing what the lock file says ...\n");
  const reminder = setInterval(() => process.stdout.write(`npm packages ... ${elapsed()}\n`), 10_000);
  const code = await npmInstall(root);
  clearInterval(reminder);
  if (code !== 0) fail(`npm packages: npm failed (${code}); see above.`);
  if (!isInstalled(root))
    fail("npm packages: installed, but not what the lock file says. Is this machine x64 or arm64?");
  process.stdout.write(`npm packages: done in ${elapsed()}\n`);
}

/**
 * Compares the lock file with the list that npm writes at the very end of an installation.
 *
 * @param {string} root
 */
function isInstalled(root) {
  const locked = readLock(join(root, "package-lock.json"));
  const installed = readLock(join(root, "node_modules/.package-lock.json"));
  if (locked === undefined || installed === undefined) return false;
  if (!existsSync(join(root, "node_modules/.bin/node"))) return false;
  return Object.entries(locked).every(([path, { version, integrity, optional }]) => {
    if (path === "") return true;
    const found = installed[path];
    // Optional packages are those of other platforms.
    if (found === undefined) return optional === true;
    return found.version === version && found.integrity === integrity;
  });
}

/**
 * @param {string} path
 * @returns {Record<string, LockedPackage> | undefined}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} root
 * @returns {Promise<number | string>}
 */
function npmInstall(root) {
  const npm = process.env["npm_execpath"];
  const [command, first] = npm ? [process.execPath, [npm]] : ["npm", []];
  // Not "npm ci", which refuses a lock file without the optional packages of other platforms. With
  // --no-save this installs the locked versions and writes neither file.
  const args = [
    "install",
    "--no-save",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
  ];
  return new Promise((resolve) => {
    const child = spawn(command, [...first, ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
  });
}
