import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const module = JSON.stringify(new URL("./secure-process.ts", import.meta.url).href);
const program = `
  import { spawnSync } from "node:child_process";
  import { readFileSync } from "node:fs";
  import { forbidCoreFiles, secureProcess } from ${module};

  secureProcess();
  await forbidCoreFiles();
  const child = spawnSync("sh", ["-c", "umask; ulimit -c; cat /proc/self/coredump_filter; ls /proc/self/fd"]);
  process.stdout.write(child.stdout);
`;

test("children of a service get private files, no core files and no descriptors but their own", async () => {
  const stray = openSync("/etc/hostname", "r");
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit", "ignore", "ignore", "ignore", stray],
  });
  closeSync(stray);

  const { stdout } = child;
  if (stdout === null) throw new Error("no output");
  const [output] = await Promise.all([text(stdout), once(child, "exit")]);

  const [umask, coreLimit, coreFilter, ...descriptors] = output.trim().split("\n");
  expect([umask, coreLimit, Number(coreFilter)]).toEqual(["0077", "0", 0]);
  // The last is of the folder that is listed.
  expect(descriptors).toEqual(["0", "1", "2", "3"]);
});
