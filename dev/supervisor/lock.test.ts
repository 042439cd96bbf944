import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takeLock } from "./lock.ts";

test("a folder has one supervisor at a time", async () => {
  const first = await takeLock("/somewhere/one");

  expect(await takeLock("/somewhere/one")).toBeUndefined();
  const other = await takeLock("/somewhere/else");
  expect(other).toBeDefined();

  await Promise.all([first?.release(), other?.release()]);
  const again = await takeLock("/somewhere/one");
  expect(again).toBeDefined();
  await again?.release();
});

test("the lock of a killed supervisor is free at once", async () => {
  const program = `
    import { takeLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
    console.log((await takeLock("/somewhere/killed")) ? "taken" : "refused");
    setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", program]);
  const [said] = await once(holder.stdout, "data");
  expect(String(said)).toBe("taken\n");
  expect(await takeLock("/somewhere/killed")).toBeUndefined();

  holder.kill("SIGKILL");
  await once(holder, "exit");

  const lock = await takeLock("/somewhere/killed");
  expect(lock).toBeDefined();
  await lock?.release();
});
