import { expect, test } from "vitest";
import { machineNotFound } from "./faults.ts";
import { MachineApps } from "./machine-apps.ts";
import type { MachineView } from "./machines.ts";

const OWN = "00001aaaaaaaaa";
const missing = (i: number) => `00002${i.toString(16).padStart(9, "0")}`;

/** Look-ups of machines, of which each organisation has one. Counts those that ask its host. */
function setUp() {
  const it = { nowMs: 0, asked: 0 };
  const get = async (id: string) => {
    it.asked += 1;
    if (!id.startsWith("00001")) throw machineNotFound(id);
    return { machine: { app: "web" } } as MachineView;
  };
  return { it, apps: new MachineApps({ get }, () => it.nowMs) };
}

test("an organisation that names too many machines that it does not have is told when to go on", async () => {
  const { it, apps } = setUp();
  for (let i = 0; i < 1_000; i++) expect(await apps.find(missing(i), "acme")).toBeUndefined();

  await expect(apps.find(missing(1), "acme")).rejects.toMatchObject({
    reason: "RATE_LIMITED",
    retryAfterMs: 50,
  });

  expect(it.asked).toBe(1_000);
  expect(await apps.find(missing(1), "other")).toBeUndefined();
  expect(await apps.find(missing(1), "")).toBeUndefined();
  it.nowMs += 20;
  expect(await apps.find(missing(1), "acme")).toBeUndefined();
});

test("machines that there are cost nothing, and one that is known is found all the same", async () => {
  const { it, apps } = setUp();
  for (let i = 0; i < 1_100; i++)
    expect(await apps.find(missing(i).replace("00002", "00001"), "acme")).toBe("web");
  await apps.find(OWN, "acme");
  for (let i = 0; i < 1_000; i++) await apps.find(missing(i), "acme");
  const before = it.asked;

  expect(await apps.find(OWN, "acme")).toBe("web");
  expect(it.asked).toBe(before);
});
