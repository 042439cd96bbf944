import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "../../../tools/lib/paths.ts";
import { run } from "../../../tools/lib/run.ts";
import { exampleEnvironment } from "../examples.ts";

/** The result of a call with grpcurl. */
export interface Outcome {
  /** The answers, as JSON with the names of proto's JSON form. */
  readonly answers: readonly Json[];
  /** Absent: the call succeeded. */
  readonly error: CallError | undefined;
}

export type Json = Readonly<Record<string, unknown>>;

/** The status of a call that failed. */
export interface CallError {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Json[];
}

/** Calls an api with grpcurl, which learns of its methods by reflection. */
export class Grpcurl {
  readonly #program: string;
  readonly #address: string;
  readonly #token: string;

  private constructor(program: string, address: string, token: string) {
    this.#program = program;
    this.#address = address;
    this.#token = token;
  }

  /** Builds the version of `go.mod`. */
  static async build(folder: string, address: string, token: string): Promise<Grpcurl> {
    const program = join(folder, "grpcurl");
    const args = ["build", "-o", program, "github.com/fullstorydev/grpcurl/cmd/grpcurl"];
    await run("go", args, { cwd: join(ROOT, "test/clients/go/grpcurl"), env: exampleEnvironment() });
    return new Grpcurl(program, address, token);
  }

  /** Lists the services that the api reflects. */
  async services(): Promise<readonly string[]> {
    return (await run(this.#program, [...this.#common(), this.#address, "list"])).trim().split("\n");
  }

  /**
   * Calls a method.
   *
   * @param requests several for a stream
   * @param enough for a stream without an end: how many answers to wait for
   */
  async call(method: string, requests: readonly Json[], enough = Number.POSITIVE_INFINITY): Promise<Outcome> {
    const args = [...this.#common(), "-format-error", "-max-time", "60", "-d", "@", this.#address, method];
    const child = spawn(this.#program, args, { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    let isEnough = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      isEnough = objectsOf(stdout).length >= enough;
      if (isEnough) child.kill();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdin.on("error", () => {});
    child.stdin.end(requests.map((request) => JSON.stringify(request)).join("\n"));
    const [code] = await once(child, "close");
    const answers = objectsOf(stdout);
    if (code === 0 || isEnough) return { answers, error: undefined };
    const [error] = objectsOf(stderr);
    if (error === undefined) throw new Error(`grpcurl ${method}: ${stderr}`);
    const { code: status, message = "", details = [] } = error as Partial<CallError>;
    return { answers, error: { code: status ?? 0, message, details } };
  }

  #common(): readonly string[] {
    return ["-plaintext", "-H", `authorization: Bearer ${this.#token}`];
  }
}

/** Splits JSON objects that are printed one after the other, indented. */
function objectsOf(text: string): readonly Json[] {
  return [...text.matchAll(/^\{\}$|^\{\n[\s\S]*?^\}$/gm)].map(([object]) => JSON.parse(object) as Json);
}
