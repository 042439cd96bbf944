import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { commandLine } from "../../../src/cli/commands/machine/config/command-line.ts";
import { MachineEvent, MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { publicBytes } from "../../../src/lib/auth/keys.ts";
import { keys } from "../traces/support.ts";
import { line } from "./fakes/fake-api.ts";
import { useCli } from "./support.ts";

const ID = "0000a1b2c3d4e6";
const DOC = join(import.meta.dirname, "../../../docs/flyctl.md");
const cli = useCli();

/** The commands of the second column of the table. */
const examples = readFileSync(DOC, "utf8")
  .split("\n")
  .filter((row) => row.startsWith("| "))
  .flatMap((row) =>
    [...(row.split(" | ")[1] ?? "").matchAll(/`(hover [^`]+)`/g)].map(([, text = ""]) => text),
  );

beforeEach(() => {
  cli.api.add({ id: ID, state: MachineState.STARTED });
  cli.api.apps.set("web", {
    ...{ name: "web", org: "acme", createTime: new Date(), machineCount: 1, network: "", orgName: "" },
  });
  cli.api.events = [{ ...MachineEvent.create(), id: "e1", type: "start" }];
  cli.api.logs.push(line(1, "hello"));
});

test("the document has an example for each of flyctl's commands for machines", () => {
  const verbs =
    "run create update clone list status start stop restart kill destroy wait exec cordon uncordon place logs events versions metadata signal ps";
  const missing = verbs
    .split(" ")
    .filter((verb) => !examples.some((text) => text.startsWith(`hover machine ${verb}`)));
  expect(missing).toEqual([]);
});

test.each(examples)("%s", async (example) => {
  const [, ...words] = commandLine(example);
  const args = words.map((word) => (word === "ID" ? ID : word));
  // Commands that need another service get what they ask it for, or say that it is away.
  if (args[0] === "token") args.push("--key", publicBytes(createPublicKey(keys.publicKey)).toString("hex"));
  if (args[0] === "api") {
    const { code, err } = await cli.home.hoverWith({ WINDHOVER_REST_URL: "127.0.0.1:1" }, ...args);
    expect([code, err]).toEqual([1, expect.stringContaining("REST_UNAVAILABLE")]);
    return;
  }
  if (args[0] === "latency" || args.includes("--open")) {
    const { code, err } = await cli.home.within(...args);
    expect([code, err]).toEqual([1, expect.stringContaining("CONSOLE_UNAVAILABLE")]);
    return;
  }
  const readsInput = args[0] === "console" || args.includes("--shell");
  const { code, out, err } = await (readsInput ? cli.home.hover(...args) : cli.home.within(...args));

  expect([code, err]).toEqual([0, expect.not.stringContaining("Error")]);
  expect(out).not.toBe("");
});
