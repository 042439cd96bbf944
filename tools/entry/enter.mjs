// The entry of every npm script, in plain JavaScript for any Node from 20 on: installs the npm
// packages when they do not match the lock file, Node 24 among them, and goes on with that.
import { spawn } from "node:child_process";
import { realpathSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPackages } from "./npm-packages.mjs";

const root = realpathSync(fileURLToPath(new URL("../..", import.meta.url)));

/**
 * Runs a file of the project with the arguments given and ends with its exit code.
 *
 * @param {string} file
 */
export async function enter(file) {
  const [major = 0] = process.versions.node.split(".").map(Number);
  if (major < 20) fail(`Windhover needs Node 20 or later; this is ${process.version}.`);
  if (process.platform !== "linux") fail(`Windhover runs on Linux; this is ${process.platform}.`);
  await installPackages(root, fail);
  const node = join(root, "node_modules/.bin/node");
  const command = join(root, file);
  if (realpathSync(process.execPath) === realpathSync(node)) {
    await import(command);
    return;
  }
  const child = spawn(node, [command, ...process.argv.slice(2)], { stdio: "inherit" });
  // Ctrl-C reaches the child through the terminal.
  process.on("SIGINT", () => undefined);
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"]))
    process.on(signal, () => child.kill(signal));
  child.once("error", (error) => fail(`${node} does not run: ${error.message}`));
  child.once("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
