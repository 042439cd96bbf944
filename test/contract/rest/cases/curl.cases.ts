import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../../../tools/lib/paths.ts";
import { commandsOf } from "../../../support/readme/commands.ts";
import { answerOf, differences, withNames } from "../document.ts";
import type { RestFleet } from "../rest-fleet.ts";

const COMMAND_TIMEOUT_MS = 60_000;

/** Follows docs/rest.md: sends every command and compares its answer with the one that is shown. */
export function curlCases(rest: () => RestFleet): void {
  describe("docs/rest.md", { shuffle: false }, () => {
    const commands = commandsOf(readFileSync(join(ROOT, "docs/rest.md"), "utf8"));
    const names = new Map<string, string>();
    let environment: NodeJS.ProcessEnv;

    beforeAll(async () => {
      const { url, image } = rest();
      // It lists all that there is, which other tests add to.
      const token = await rest().organization("documented", "Personal");
      names.set("personal", "documented").set("127.0.0.1:5000/samples/hello", image);
      environment = { PATH: process.env["PATH"], FLY_API_HOSTNAME: url, FLY_API_TOKEN: token };
    });

    test.each(commands.filter(({ command }) => command.startsWith("curl")))(
      "line $line",
      async ({ command, output }) => {
        const printed = await run(withNames(command, names), environment);

        const shown = answerOf(output);
        const actual = answerOf(printed.split("\n"));
        expect(actual.status, printed).toBe(shown.status);
        expect(differences(shown.body, actual.body, names), printed).toEqual([]);
      },
    );

    test("shows nothing but curl and the variables that it needs", () => {
      expect(
        commands.filter(({ command }) => !/^(?:curl -iN? |export FLY_API_HOSTNAME)/.test(command)),
      ).toEqual([]);
      expect(commands.length).toBeGreaterThan(30);
    });
  });
}

/** Runs a command to its end; one for a stream until the head of the answer is there. */
async function run(command: string, env: NodeJS.ProcessEnv): Promise<string> {
  const isStream = command.startsWith("curl -iN ");
  const child = spawn("bash", ["-c", `exec ${command}`], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: COMMAND_TIMEOUT_MS,
  });
  let output = "";
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (isStream && output.includes("\r\n\r\n")) child.kill("SIGTERM");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  const [code, signal] = await once(child, "close");
  expect(isStream ? signal : code, `${command}\n${complaints}`).toBe(isStream ? "SIGTERM" : 0);
  return output;
}
