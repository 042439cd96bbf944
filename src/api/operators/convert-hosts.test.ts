import { describe, expect, test } from "vitest";
import { AttachedHost } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { hostToProto } from "./convert-hosts.ts";

const NOW = Date.parse("2030-01-01T00:00:00Z");

function shown(status: { diskFreeMb?: bigint; diskReserveMb?: bigint }, missing: readonly string[] = []) {
  const info = { number: 1, name: "host-1", region: "ord" };
  const attached = AttachedHost.fromPartial({ info, status });
  return hostToProto({ number: 1, region: "ord", entry: undefined, attached, missing }, NOW);
}

describe("a host whose disk", () => {
  test("is all but full says so, and why it takes nothing", () => {
    const host = shown({ diskFreeMb: 300n, diskReserveMb: 1_024n });

    expect(host).toMatchObject({ diskFreeMb: 300n, diskReserveMb: 1_024n });
    expect(host.statusMessage).toMatch(/^disk all but full: 300 MB free, and 1024 MB are kept/);
  });

  test.each([
    ["has just enough left", { diskFreeMb: 1_024n, diskReserveMb: 1_024n }],
    ["is not known", {}],
  ])("%s has nothing to say", (_what, status) => {
    expect(shown(status).statusMessage).toBe("");
  });

  test("is all but full is shown beside what did not answer", () => {
    const { statusMessage } = shown({ diskFreeMb: 0n, diskReserveMb: 1n }, ["the database did not answer"]);

    expect(statusMessage).toMatch(/^the database did not answer; disk all but full: 0 MB free/);
  });
});

test("a host that is not attached says since when, and nothing of its disk", () => {
  const host = hostToProto(
    { number: 1, region: "ord", entry: undefined, attached: undefined, missing: [] },
    NOW,
  );

  expect(host.statusMessage).toMatch(/^not attached: no word for \d+ s$/);
  expect(host.diskFreeMb).toBeUndefined();
});
