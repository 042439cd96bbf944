import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takeLock } from "./lock.ts";

// A lock is the machine's, so each run of the tests has folders of its own.
const ONE = `/somewhere/one/${process.pid}`;
const OTHER = `/somewhere/other/${process.pid}`;
const KILLED = `/somewhere/killed/${process.pid}`;

test("a folder has one supervisor at a time", async () => {
  const first = await takeLock(ONE);

  expect(await takeLock(ONE)).toBeUndefined();
  const other = await takeLock(OTHER);
  expect(other).toBeDefined();

  await Promise.all([first?.release(), other?.release()]);
  const again = await takeLock(ONE);
  expect(again).toBeDefined();
  await again?.release();
});

test("the lock of a killed supervisor is free at once", async () => {
  const program = `
    import { takeLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
    console.log((await takeLock(${JSON.stringify(KILLED)})) ? "taken" : "refused");
    setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  const [said] = await once(holder.stdout, "data");
  expect(String(said)).toBe("taken\n");
  expect(await takeLock(KILLED)).toBeUndefined();

  holder.kill("SIGKILL");
  await once(holder, "exit");

  const lock = await takeLock(KILLED);
  expect(lock).toBeDefined();
  await lock?.release();
});
