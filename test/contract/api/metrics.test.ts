import { afterAll, beforeAll, expect, test } from "vitest";
import { exposeCreates } from "../../../src/api/creates/metrics.ts";
import { metric } from "../../support/telemetry/metrics-page.ts";
import { type TestApi, World } from "./fixture.ts";

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  exposeCreates(api.runner);
  await api.user.createApp("web");
});
afterAll(() => world?.close());

test("creates and starts are measured as their callers see them", async () => {
  const { machine } = await api.user.create();
  await api.user.start(machine?.id ?? "");
  await api.user.start(machine?.id ?? "");

  expect(await metric("windhover_create_duration_seconds_count", { outcome: "ok" })).toBe(1);
  expect(await metric("windhover_creates_total", { outcome: "done" })).toBe(1);
  expect(await metric("windhover_creates_in_progress")).toBe(0);
  expect(await metric("windhover_creates_stuck")).toBe(0);
  const starts = "windhover_api_start_duration_seconds_count";
  expect(await metric(starts, { outcome: "ok" })).toBe(2);
  expect(await metric(starts, { start_path: "already", outcome: "ok" })).toBe(1);
});

test("what callers have brought on themselves is not held against the service", async () => {
  const unknownHost = "fffff000000001";

  await expect(api.user.create({ app: "no-such-app" })).rejects.toThrow();
  await expect(api.user.start(unknownHost)).rejects.toThrow();

  expect(await metric("windhover_create_duration_seconds_count", { outcome: "refused" })).toBe(1);
  expect(await metric("windhover_create_duration_seconds_count", { outcome: "failed" })).toBe(0);
  const starts = { start_path: "none", outcome: "refused" };
  expect(await metric("windhover_api_start_duration_seconds_count", starts)).toBe(1);
});
