import { readFileSync } from "node:fs";
import type {
  GuestConfig,
  InitConfig,
  MachineConfig,
  StopConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../lib/grpc/duration.ts";
import { UsageError } from "../../../session/usage-error.ts";
import { duration } from "../../values.ts";

/**
 * Reads a machine configuration from a file: the shape that `hover machine status --json` shows as `config`. Keys may be missing; unknown ones
 * and wrong types are errors, all told at once. Whether the values make sense is for the server to say.
 *
 * @throws UsageError
 */
export function readConfigFile(path: string): MachineConfig {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (err) {
    throw new UsageError(
      `${path} cannot be read as JSON: ${err instanceof Error ? err.message : String(err)}`,
    );
  }
  const problems: string[] = [];
  const config = new Checked(value, "", problems, [
    "image",
    "guest",
    "env",
    "init",
    "services",
    "stop_config",
    "metadata",
  ]);
  const result: MachineConfig = {
    image: config.text("image") ?? "",
    guest: guestOf(config.child("guest", ["cpu_kind", "cpus", "memory_mb"])),
    env: config.texts("env") ?? {},
    init: initOf(config.child("init", ["exec", "entrypoint", "cmd", "user", "working_dir"])),
    services: config.children("services", ["protocol", "internal_port"]).map((service) => ({
      protocol: service.text("protocol") ?? "",
      internalPort: service.whole("internal_port") ?? 0,
    })),
    stopConfig: stopOf(config.child("stop_config", ["signal", "timeout"])),
    metadata: config.texts("metadata") ?? {},
  };
  if (problems.length > 0)
    throw new UsageError(
      `${path} is not a machine configuration:\n${problems.map((p) => `  - ${p}`).join("\n")}`,
    );
  return result;
}

function guestOf(guest: Checked | undefined): GuestConfig | undefined {
  if (!guest) return undefined;
  return {
    cpuKind: guest.text("cpu_kind") ?? "",
    cpus: guest.whole("cpus") ?? 0,
    memoryMb: guest.whole("memory_mb") ?? 0,
  };
}

function initOf(init: Checked | undefined): InitConfig | undefined {
  if (!init) return undefined;
  return {
    exec: init.list("exec"),
    entrypoint: init.list("entrypoint"),
    cmd: init.list("cmd"),
    user: init.text("user") ?? "",
    workingDir: init.text("working_dir") ?? "",
  };
}

function stopOf(stop: Checked | undefined): StopConfig | undefined {
  if (!stop) return undefined;
  const timeoutMs = stop.durationMs("timeout");
  return {
    signal: stop.text("signal") ?? "",
    timeout: durationToProto(timeoutMs),
  };
}

/** An object of the file whose keys are read one by one; what is wrong is noted, never thrown. */
class Checked {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #problems: string[];

  constructor(value: unknown, path: string, problems: string[], keys: readonly string[]) {
    this.#path = path;
    this.#problems = problems;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject) problems.push(`${path || "the file"}: must be an object`);
    this.#values = isObject ? Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null)) : {};
    for (const key of Object.keys(this.#values)) {
      if (!keys.includes(key))
        problems.push(`${this.#at(key)}: is not known here; known are ${keys.join(", ")}`);
    }
  }

  text(key: string): string | undefined {
    return this.#typed(key, "a text", (v) => typeof v === "string");
  }

  whole(key: string): number | undefined {
    return this.#typed(key, "a whole number", (v) => Number.isInteger(v));
  }

  list(key: string): string[] {
    return (
      this.#typed(key, "a list of texts", (v) => Array.isArray(v) && v.every((i) => typeof i === "string")) ??
      []
    );
  }

  texts(key: string): Record<string, string> | undefined {
    return this.#typed(
      key,
      "an object of texts",
      (v) =>
        v === Object(v) && !Array.isArray(v) && Object.values(Object(v)).every((i) => typeof i === "string"),
    );
  }

  durationMs(key: string): number | undefined {
    const value = this.#values[key];
    try {
      return value === undefined ? undefined : duration(String(value));
    } catch {
      this.#problems.push(`${this.#at(key)}: must be a length of time such as "5s"`);
      return undefined;
    }
  }

  child(key: string, keys: readonly string[]): Checked | undefined {
    const value = this.#values[key];
    return value === undefined ? undefined : new Checked(value, this.#at(key), this.#problems, keys);
  }

  children(key: string, keys: readonly string[]): Checked[] {
    const list = this.#typed<unknown[]>(key, "a list", Array.isArray) ?? [];
    return list.map((item, i) => new Checked(item, `${this.#at(key)}[${i}]`, this.#problems, keys));
  }

  #typed<T>(key: string, what: string, test: (value: unknown) => boolean): T | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (!test(value)) {
      this.#problems.push(`${this.#at(key)}: must be ${what}`);
      return undefined;
    }
    // The test has just said that it is one.
    return value as T;
  }

  #at(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }
}
