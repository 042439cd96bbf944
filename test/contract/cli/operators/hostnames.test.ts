import { beforeEach, describe, expect, test } from "vitest";
import { CheckStatus, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";

const cli = useCli();

describe("hover app hostname", () => {
  beforeEach(() => cli.home.within("app", "create", "web"));

  test("adds, lists and removes names of an app", async () => {
    const added = await cli.home.within("app", "hostname", "add", "www.example.com", "-a", "web");
    const list = await cli.home.within("app", "hostname", "ls", "-a", "web");
    const json = await cli.home.within("app", "hostname", "list", "-a", "web", "--json");
    const removed = await cli.home.within("apps", "hostnames", "rm", "www.example.com", "-a", "web");
    const quiet = await cli.home.within("app", "hostname", "list", "-a", "web", "-q");

    expect(added).toMatchObject({
      code: 0,
      out: "www.example.com leads to web, once its DNS record leads to the proxies\n",
      err: expect.stringContaining("hover app hostname list -a web"),
    });
    expect(list.out).toMatch(
      /^HOST NAME +APP +ADDED\nweb\.localhost +web +always\nwww\.example\.com +web +(now|\d+s ago)\n$/,
    );
    expect(JSON.parse(json.out)).toMatchObject([
      { name: "web.localhost", app: "web" },
      { name: "www.example.com", app: "web", create_time: expect.any(String) },
    ]);
    expect([removed.code, removed.out]).toEqual([0, "www.example.com leads to web no more\n"]);
    expect(quiet.out).toBe("web.localhost\n");
  });

  test("names the next command after a failure", async () => {
    cli.api.failures.set(
      "addHostname",
      new Fault("ALREADY_EXISTS", "HOSTNAME_TAKEN", "the host name leads to another app", {}),
    );
    cli.api.failures.set(
      "removeHostname",
      new Fault("NOT_FOUND", "HOSTNAME_NOT_FOUND", "the app does not have the host name", {}),
    );

    const taken = await cli.home.within("app", "hostname", "add", "www.example.com", "-a", "web");
    const missing = await cli.home.within("app", "hostname", "remove", "a.example.com", "-a", "web");

    for (const { code, err } of [taken, missing])
      expect([code, err]).toEqual([1, expect.stringContaining("Next: hover app hostname list -a web\n")]);
  });

  test("asks for the app", async () => {
    const { code, err } = await cli.home.within("app", "hostname", "add", "www.example.com");

    expect([code, err]).toEqual([2, expect.stringContaining("Which app? Name it with -a")]);
    expect(cli.sent("addHostname")).toBeUndefined();
  });
});

describe("readiness", () => {
  const check = (name: string, status: string, output = "") =>
    CheckStatus.fromPartial({ name, status, output, updateTime: new Date(Date.now() - 60_000) });

  test("is in lists, with the checks that fail, and each check is in the status", async () => {
    const checks = [check("alive", "passing", "200"), check("db", "critical", "connection refused")];
    cli.api.add({ id: ID, state: MachineState.STARTED, ready: false, checks });

    const list = await cli.home.within("m", "ls");
    const status = await cli.home.within("m", "status", ID);

    expect(list.out).toMatch(/started +no: db +web/);
    expect(status.out).toMatch(/\nready +no: db\n/);
    expect(status.out).toMatch(
      /\nCHECK +STATUS +UPDATED +OUTPUT\ndb +critical +1m ago +connection refused\nalive +passing/,
    );
  });

  test("is waited for", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED, ready: true });

    const { code, out } = await cli.home.within("m", "wait", ID, "--state", "ready,failed");

    expect(cli.sent("waitMachine")).toMatchObject({
      ...{ ready: true, settled: false, states: [MachineState.FAILED] },
    });
    expect([code, out]).toEqual([0, expect.stringMatching(/ is ready \(waited /)]);
  });
});
