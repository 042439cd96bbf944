import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { plainEnvironment } from "../../dev/settings/environment.ts";
import { Part } from "../../dev/supervisor/part.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { run } from "../../tools/lib/run.ts";

const COLLECTOR = "v0.161.0";
const JAEGER = "v1.76.0";
/** What was built stays: a build takes minutes. */
const BUILT = join(ROOT, ".windhover/otel");
const environment = { ...process.env, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" };

/** Builds the collector with the components of `collector-builder.yaml`, unless it is there. */
export async function buildCollector(): Promise<string> {
  const folder = join(BUILT, `collector-${COLLECTOR}`);
  const program = join(folder, "otelcol");
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "builder.yaml");
  copyFileSync(join(import.meta.dirname, "collector-builder.yaml"), config);
  const builder = `go.opentelemetry.io/collector/cmd/builder@${COLLECTOR}`;
  await run("go", ["run", builder, "--config", config], { cwd: folder, env: environment });
  renameSync(join(folder, "build/otelcol"), program);
  return program;
}

/** Builds Jaeger, without its pages, unless it is there. */
export async function buildJaeger(): Promise<string> {
  const folder = join(BUILT, `jaeger-${JAEGER}`);
  const program = join(folder, "jaeger");
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const go = (...args: readonly string[]) => run("go", args, { cwd: folder, env: environment });
  const name = "github.com/jaegertracing/jaeger/cmd/jaeger";
  if (!existsSync(join(folder, "go.mod"))) await go("mod", "init", "example.com/windhover/jaeger");
  await go("get", "-tool", `${name}@${JAEGER}`);
  await go("build", "-o", `${program}.new`, name);
  renameSync(`${program}.new`, program);
  return program;
}

/** Starts a program in the project's folder, with its log in `folder`, and waits until `url` answers. */
export async function startProgram(
  name: string,
  command: readonly [string, ...string[]],
  folder: string,
  variables: Readonly<Record<string, string>>,
  url: string,
): Promise<Part> {
  const part = new Part({
    name,
    command,
    environment: { ...plainEnvironment(), ...variables },
    workingDirectory: ROOT,
    logFile: join(folder, `${name}.log`),
    stopSignal: "SIGTERM",
    stopGraceMs: 10_000,
    orphanSignal: "SIGKILL",
    readyTimeoutMs: 60_000,
    async ready(signal) {
      const answer = await fetch(url, { signal });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`${name} answers ${answer.status}`);
    },
  });
  await part.start();
  return part;
}
