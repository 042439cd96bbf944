import { spawn } from "node:child_process";

/** Ends by itself when its parent has gone, however that ended. */
const BUSY_LOOP = "const parent = process.ppid; while (process.ppid === parent);";

/** Starts processes that take a processor each, at normal priority, until they are disposed of. */
export function startBusyLoops(count: number): Disposable {
  const loops = Array.from({ length: count }, () =>
    spawn(process.execPath, ["-e", BUSY_LOOP], { stdio: "ignore" }),
  );
  return {
    [Symbol.dispose]() {
      for (const loop of loops) loop.kill("SIGKILL");
    },
  };
}
