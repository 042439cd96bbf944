/** `faas deploy`, `faas serve`, `faas remove`. */
import { parseArgs } from "node:util";
import { connect, DEFAULT_APP } from "./connect.ts";
import { deploy, remove } from "./deploy.ts";
import { sourceOf } from "./image/function-image.ts";
import { WindhoverFleet } from "./server/fleet.ts";
import { serve } from "./server/serve.ts";

const USAGE = `Functions as a service on Windhover.

  faas deploy PATH [--name NAME] [--regions ord,gru] [--machines 2] [--memory 256] [--idle 30]
                   [--registry 127.0.0.1:5000] [--base NAME:TAG]
  faas serve [--listen 127.0.0.1:8090] [--regions ord,gru] [--concurrency 8] [--queue 64]
             [--queue-timeout 30] [--start-timeout 60] [--timeout 30] [--max-machines 16]
             [--hedge 5]
  faas remove NAME [--registry 127.0.0.1:5000]

PATH is a file with a function as its default export, or a folder with a function.js. Times are in
seconds. The next way to a machine is tried beside one that takes longer than --hedge; 0: never. All
take --app (default faas). WINDHOVER_API and WINDHOVER_TOKEN say which fleet;
FAAS_REGISTRY and FAAS_LISTEN replace two defaults.`;

const OPTIONS = {
  ...{
    name: "",
    regions: "",
    machines: "2",
    memory: "256",
    idle: "30",
    registry: process.env["FAAS_REGISTRY"] ?? "127.0.0.1:5000",
    base: "",
  },
  ...{
    app: DEFAULT_APP,
    listen: process.env["FAAS_LISTEN"] ?? "127.0.0.1:8090",
    concurrency: "8",
    queue: "64",
    "queue-timeout": "30",
  },
  ...{ "start-timeout": "60", timeout: "30", "max-machines": "16", hedge: "5" },
};
type Option = keyof typeof OPTIONS;

try {
  await main();
} catch (err) {
  const causes = [err, err instanceof Error ? err.cause : undefined].filter((each) => each !== undefined);
  const texts = causes.map((each) => (each instanceof Error ? each.message : String(each)));
  console.error(`faas: ${texts.join(": ")}`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const options = Object.fromEntries(
    Object.entries(OPTIONS).map(([name, value]) => [name, { type: "string", default: value }] as const),
  );
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const text = (name: Option) => String(values[name]);
  const count = (name: Option, min = 1) => {
    const number = Number(text(name));
    if (!Number.isInteger(number) || number < min)
      throw new Error(`--${name} takes a whole number from ${min} on`);
    return number;
  };
  const ms = (name: Option) => count(name) * 1_000;
  const regions = text("regions")
    .split(",")
    .filter((region) => region !== "");
  const app = text("app");
  const [command, what = "", ...rest] = positionals;
  const takesOne = command === "deploy" || command === "remove";
  if (
    rest.length > 0 ||
    takesOne !== (what !== "") ||
    !["deploy", "serve", "remove"].includes(command ?? "")
  ) {
    throw new Error(USAGE);
  }

  const windhover = connect();
  try {
    if (command === "deploy") {
      const source = await sourceOf(what, text("name") || undefined);
      const registry = text("registry");
      const shape = { machines: count("machines"), memoryMb: count("memory"), idleMs: ms("idle") };
      const deployment = { app, source, registry, base: text("base") || undefined, regions, ...shape };
      const { version } = await deploy(windhover, deployment, (line) => console.log(line));
      console.log(`${source.name} is deployed: version ${version}`);
    } else if (command === "remove") {
      console.log(`${await remove(windhover, app, text("registry"), what)} machines destroyed`);
    } else {
      const limits = {
        concurrency: count("concurrency"),
        queue: count("queue", 0),
        queueMs: ms("queue-timeout"),
      };
      const times = { startMs: ms("start-timeout"), runMs: ms("timeout") };
      const near = regions.length > 0 ? regions : await allRegions();
      const settings = { app, regions: near, limits, ...times, maxMachines: count("max-machines") };
      const url = new URL(`http://${text("listen")}`);
      const end = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end.abort());
      const log = (entry: object) => console.log(JSON.stringify({ time: new Date(), ...entry }));
      const listen = { host: url.hostname, port: Number(url.port || 80) };
      await serve(
        new WindhoverFleet(windhover, app, count("hedge", 0) * 1_000),
        settings,
        listen,
        end.signal,
        log,
      );
    }
  } finally {
    windhover.close();
  }

  /** Lists the regions, that of the api first. */
  async function allRegions(): Promise<readonly string[]> {
    const { regions: all, nearest } = await windhover.platform.regions();
    return [nearest, ...all.map(({ code }) => code).filter((code) => code !== nearest)];
  }
}
