import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Layout, layoutOf } from "./layout.ts";
import { endEverything, FLEET_MARK, findLeftovers } from "./sweep.ts";

let layout: Layout;
const children: ChildProcess[] = [];

beforeEach(() => {
  layout = layoutOf(realpathSync(mkdtempSync(join(tmpdir(), "wh-sw-"))));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(layout.folder, { recursive: true, force: true });
});

test("only processes that carry the fleet's mark are ended", async () => {
  const ours = sleeper({ [FLEET_MARK]: layout.folder });
  const neighbour = sleeper({ [FLEET_MARK]: `${layout.folder}-other` });
  const stranger = sleeper({});
  const pids = () => findLeftovers(layout).others.map(({ pid }) => pid);
  await expect.poll(pids).toEqual([ours.pid]);

  const ended = await endEverything(layout);

  expect(ended).toEqual([ours.pid]);
  expect(pids()).toEqual([]);
  for (const other of [neighbour, stranger]) expect(other.exitCode ?? other.signalCode).toBeNull();
});

function sleeper(environment: Record<string, string>): ChildProcess {
  const child = spawn("/bin/sleep", ["60"], { env: environment, cwd: layout.folder });
  children.push(child);
  return child;
}
