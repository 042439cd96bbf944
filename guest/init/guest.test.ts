import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The parts of the init that do not need a VM; the end-to-end tests run the rest. */
const PARTS = [
  ...["channel/frame.c", "channel/tlv.c", "channel/ring.c", "channel/lines.c"],
  ...["program/request.c", "program/users.c", "program/search.c", "agent/oom.c", "system/sys.c"],
  "agent/output.c",
  ...["workload/cgroup.c", "agent/thrash.c", "agent/listening.c", "channel/channel.c"],
  ...[
    "exec/execs.c",
    "exec/input.c",
    "exec/output.c",
    "exec/messages.c",
    "system/proc.c",
    "exec/processes.c",
    "exec/spawn.c",
    "exec/command.c",
  ],
  ...["program/files.c", "program/program.c", "program/terminal.c", "api/api.c"],
];
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"];
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

const dir = mkdtempSync(join(tmpdir(), "windhover-guest-"));
let output = "";

beforeAll(() => {
  const program = join(dir, "guest-test");
  const sources = import.meta.dirname;
  const tests = readdirSync(join(sources, "test"), { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".c"),
  );
  const paths = [...tests.map((file) => `test/${file}`), ...PARTS].map((file) => join(sources, file));
  execFileSync("gcc", [...FLAGS, ...SANITIZERS, "-I", sources, "-o", program, ...paths], { timeout: 60_000 });
  output = execFileSync(program, { encoding: "utf8", timeout: 60_000 });
}, 120_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each([
  "frames",
  "fields",
  "requests",
  "users",
  "ring",
  "lines",
  "search",
  "oom",
  "memory",
  "execs",
  "processes",
  "files",
  "listening",
  "streams",
  "api",
])("the init's %s hold up under the sanitizers", (name) => {
  expect(output.split("\n")).toContain(`ok ${name}`);
});
