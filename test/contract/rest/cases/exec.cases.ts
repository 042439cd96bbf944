import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

/** Commands in machines, as published clients run them. */
export function execCases(rest: () => RestFleet): void {
  describe("commands", () => {
    let machine: string;
    beforeAll(async () => {
      const app = await rest().app();
      const { id } = await rest().machine(app);
      machine = `/apps/${app}/machines/${id}`;
    });
    const exec = (body: object) => rest().call("POST", `${machine}/exec`, body);

    test("are a list, or one text with quotes that expands nothing", async () => {
      const hello = { exit_code: 0, exit_signal: 0, stdout: "hello * $HOME\n", stderr: "" };

      expect((await exec({ command: ["echo", "hello * $HOME"] })).json).toEqual(hello);
      expect((await exec({ cmd: `echo 'hello * $HOME'`, timeout: "60s" })).json).toEqual(hello);
      expect((await exec({ cmd: `echo "hello"  '*' \\$HOME`, machine: true, container: "" })).json).toEqual(
        hello,
      );
      expect((await exec({ cmd: ["echo", "hello * $HOME"] })).json).toEqual(hello);
    });

    test("that fail are a success of the call", async () => {
      const { status, json } = await exec({ command: ["false"] });

      expect({ status, json }).toMatchObject({ status: 200, json: { exit_code: 1, exit_signal: 0 } });
    });

    test("get standard input", async () => {
      expect((await exec({ command: ["cat"], stdin: "in" })).json).toMatchObject({
        exit_code: 0,
        stdout: "in",
      });
    });

    test("that take too long are 408", async () => {
      const { status, json } = await exec({ command: ["sleep", "60"], timeout: 1 });

      expect({ status, json }).toMatchObject({
        ...{ status: 408, json: { error: expect.stringMatching(/^deadline_exceeded: /) } },
      });
    });

    test.each([
      {},
      { command: [] },
      { cmd: "" },
      { cmd: "echo 'open" },
      { command: "echo" },
      { command: [1] },
    ])("%j is refused with the name of the field", async (body) => {
      const { status, json } = await exec(body);

      expect({ status, json }).toMatchObject({
        ...{ status: 400, json: { error: expect.stringMatching(/^invalid_argument: (command|cmd)/) } },
      });
    });

    test("processes are listed with whole numbers, sorted as asked", async () => {
      const processes = await rest().ok("GET", `${machine}/ps?sort_by=pid&order=desc`);

      for (const process of processes) {
        expect(process).toEqual({
          ...{ pid: expect.any(Number), stime: expect.any(Number), rtime: expect.any(Number) },
          ...{ cpu: expect.any(Number), rss: expect.any(Number), command: expect.any(String) },
          ...{ directory: expect.any(String), listen_sockets: expect.any(Array) },
        });
      }
      expect(processes.at(-1)).toMatchObject({ pid: 1 });
      expect((await rest().call("GET", `${machine}/ps?order=sideways`)).status).toBe(400);
    });

    test("need a machine that runs, and its lease while one is held", async () => {
      const app = await rest().app();
      const { id } = await rest().machine(app, {}, { lease_ttl: 60 });
      const path = `/apps/${app}/machines/${id}/exec`;

      expect((await rest().call("POST", path, { command: ["true"] })).status).toBe(409);
      const { id: stopped } = await rest().machine(app, {}, { skip_launch: true });
      const refused = await rest().call("POST", `/apps/${app}/machines/${stopped}/exec`, {
        command: ["true"],
      });
      expect(refused).toMatchObject({ status: 412, json: { status: "failed_precondition" } });
    });
  });
}
