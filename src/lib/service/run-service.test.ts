import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test, vi } from "vitest";

// Each test starts a program of its own.
vi.setConfig({ testTimeout: 20_000 });

const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

const program = `
  import { readEnv, showConfig, text } from ${module("../config/config.ts")};
  import { logger } from ${module("../runtime/log.ts")};
  import { runService } from ${module("./run-service.ts")};
  import { common, LOG_LEVEL } from ${module("../config/variables.ts")};

  const variables = { PLACE: text().meta({ secret: true }), DEMO_LOG_LEVEL: common.logLevel(), LOG_LEVEL };
  const readConfig = (env) => {
    const values = readEnv(env, variables);
    const logLevel = values.DEMO_LOG_LEVEL ?? values.LOG_LEVEL;
    return { place: values.PLACE, logLevel, show: () => showConfig(variables, env) };
  };
  await runService("demo", readConfig, async ({ place }, stack) => {
    stack.add("place", () => logger.info("closed"));
    if (place === "nowhere") throw new Error("there is no such place");
    logger.debug("opened");
    const open = setInterval(() => {}, 1_000);
    stack.add("place", () => clearInterval(open));
    if (place === "bug") setImmediate(() => { throw Object.assign(new Error("a bug"), { detail: "s3cret" }); });
    if (place === "loose") void Promise.reject(Object.assign(new Error("a bug"), { detail: "s3cret" }));
    if (place === "here") process.kill(process.pid, "SIGTERM");
    return { place };
  });
`;

test("a service logs that it is ready, stops on a signal and closes what it opened", async () => {
  const { code, lines, errors } = await run({ PLACE: "here" });

  expect([code, errors]).toEqual([0, ""]);
  expect(lines).toMatchObject([
    { service: "demo", msg: "ready", place: "here" },
    { service: "demo", msg: "stopping", signal: "SIGTERM" },
    { service: "demo", msg: "closed" },
  ]);
});

test("LOG_LEVEL is for all services, and one of a service's own wins", async () => {
  const debug = await run({ PLACE: "here", LOG_LEVEL: "debug" });
  const own = await run({ PLACE: "here", LOG_LEVEL: "debug", DEMO_LOG_LEVEL: "error" });

  expect(debug.lines.map(({ msg }) => msg)).toContain("opened");
  expect(own.lines).toEqual([]);
});

test("one that fails says why, closes what it opened and exits with 1", async () => {
  const { code, lines } = await run({ PLACE: "nowhere" });

  expect(code).toBe(1);
  expect(lines).toMatchObject([
    { level: "error", msg: "the service failed", error: { message: "there is no such place" } },
    { level: "info", msg: "closed" },
  ]);
});

test.each(["bug", "loose"])(
  "one that crashes (%s) says why, without the fields of the error, and exits with 1",
  async (place) => {
    const { code, lines, output, errors } = await run({ PLACE: place });

    expect(code).toBe(1);
    expect(lines.at(-1)).toMatchObject({
      level: "error",
      msg: "the service has crashed",
      error: { message: "a bug" },
    });
    expect(output + errors).not.toContain("s3cret");
  },
);

test("a configuration that is wrong is told on standard error, all of it", async () => {
  const { code, lines, errors } = await run({ LOG_LEVEL: "loud" });

  expect([code, lines]).toEqual([1, []]);
  expect(errors).toBe(
    'demo: the configuration is not valid:\n  - PLACE must be set\n  - LOG_LEVEL must be one of debug, info, warn, error, not "loud"\n',
  );
});

test("--check-config shows what is in effect and starts nothing", async () => {
  const { code, output } = await run({ PLACE: "here" }, "--check-config");

  expect([code, output]).toEqual([0, "PLACE=********\nDEMO_LOG_LEVEL=\nLOG_LEVEL=info\n"]);
});

/** Runs the program to its end. */
async function run(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, "--", ...args], {
    env: { PATH: process.env["PATH"], ...env },
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [code]: unknown[] = await once(child, "close");
  const lines: Record<string, unknown>[] = output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  return { code, output, errors, lines };
}
