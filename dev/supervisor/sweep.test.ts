import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Layout, layoutOf } from "../settings/layout.ts";
import { endEverything, endOrphans, FLEET_MARK, findLeftovers } from "./sweep.ts";

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

test("a VM is found by its folder, and is kept when only orphans are ended", async () => {
  const vmFolder = join(layout.folder, "hosts/1/hostd/vms/one");
  mkdirSync(vmFolder, { recursive: true });
  const program = join(layout.folder, "qemu-system-sleep");
  copyFileSync("/bin/sleep", program);
  const vm = spawn(program, ["60"], { env: {}, cwd: vmFolder });
  const elsewhere = spawn(program, ["60"], { env: {}, cwd: tmpdir() });
  children.push(vm, elsewhere);
  await expect.poll(() => findLeftovers(layout).vms.map(({ pid }) => pid)).toEqual([vm.pid]);

  await endOrphans(layout);
  expect(vm.exitCode ?? vm.signalCode).toBeNull();
  await endEverything(layout);

  expect(findLeftovers(layout).vms).toEqual([]);
  expect(elsewhere.exitCode ?? elsewhere.signalCode).toBeNull();
});

function sleeper(environment: Record<string, string>): ChildProcess {
  const child = spawn("/bin/sleep", ["60"], { env: environment, cwd: layout.folder });
  children.push(child);
  return child;
}
