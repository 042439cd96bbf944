import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Answered, RestFleet } from "../rest-fleet.ts";
import { requestsOf } from "./requests.ts";

const NO_RESTART = { restart: { policy: "no" } };

/** Starts, stops, signals and cordons as published clients rely on them. */
export function lifecycleCases(rest: () => RestFleet): void {
  const { call, ok } = requestsOf(rest);
  let app: string;
  const path = (id: string) => `/apps/${app}/machines/${id}`;

  beforeAll(async () => {
    app = await rest().app();
  });

  describe("starts, stops and signals", () => {
    let id: string;
    beforeEach(async () => {
      ({ id } = await rest().machine(app, NO_RESTART));
    });

    test("a start tells the state before, and starting twice succeeds", async () => {
      await ok("POST", `${path(id)}/stop`);

      expect(await ok("POST", `${path(id)}/start`)).toMatchObject({ previous_state: "stopped" });
      expect(await ok("POST", `${path(id)}/start`)).toMatchObject({ previous_state: "started" });
    });

    test.each([
      {},
      { signal: "SIGTERM" },
      { signal: "TERM", timeout: "1s" },
      { signal: 15, timeout: 1_000_000_000 },
      { signal: null, timeout: "0s" },
      { signal: "", timeout: null, id: "x", wait_timeout: 5 },
    ])("a stop takes %j", async (body) => {
      expect(await ok("POST", `${path(id)}/stop`, body)).toEqual({ ok: true });
      expect(await ok("GET", path(id))).toMatchObject({ state: "stopped" });
    });

    test.each([
      ["", undefined],
      ["?timeout=2&signal=SIGTERM", undefined],
      ["?force_stop=true&timeout=2s", undefined],
      ["?force_stop=false&timeout=5000000000", undefined],
      ["?force_stop=false", undefined],
      ["", { timeout: "2s", signal: "SIGTERM" }],
      ["", { timeout: "5" }],
      ["", []],
    ])("a restart takes %s %j", async (query, body) => {
      expect(await ok("POST", `${path(id)}/restart${query}`, body)).toEqual({ ok: true });
      expect(await ok("GET", path(id))).toMatchObject({ state: "started" });
    });

    test.each([9, "9", "SIGKILL", "KILL"])("the signal %j ends the program", async (signal) => {
      expect(await ok("POST", `${path(id)}/signal`, { signal })).toMatchObject({ ok: true });

      await ok("GET", `${path(id)}/wait?state=stopped&timeout=30`);
      const events: Answered["json"][] = await ok("GET", `${path(id)}/events`);
      expect(events.find(({ type }) => type === "exit")).toMatchObject({
        request: { exit_event: { signal: 9, exit_code: 137, requested_stop: false } },
      });
    });

    test("a signal without a name, or of a wrong one, is refused", async () => {
      for (const body of [{}, { signal: "SIGNONE" }, { signal: 99 }]) {
        const { status, json } = await call("POST", `${path(id)}/signal`, body);
        expect({ status, json }).toMatchObject({
          status: 400,
          json: { error: expect.stringContaining("signal") },
        });
      }
    });

    test("a machine that runs is destroyed by force only, with either word for it", async () => {
      const { status, json } = await call("DELETE", path(id));
      expect({ status, json }).toMatchObject({ status: 412, json: { status: "failed_precondition" } });

      expect(await ok("DELETE", `${path(id)}?kill=true&force=true`)).toEqual({ ok: true });
      const other = await rest().machine(app);
      expect(await ok("DELETE", `${path(other.id)}?kill=true`)).toEqual({ ok: true });
      const third = await rest().machine(app);
      expect(await ok("DELETE", `${path(third.id)}?force`)).toEqual({ ok: true });
    });

    test("a suspended machine is started where it was", async () => {
      expect(await ok("POST", `${path(id)}/suspend`)).toEqual({ ok: true });
      expect(await ok("GET", path(id))).toMatchObject({ state: "suspended" });
      await ok("POST", `${path(id)}/start`);
      expect(await ok("GET", path(id))).toMatchObject({ state: "started" });
      await ok("DELETE", `${path(id)}?force=true`);
      expect(await call("POST", `${path(id)}/suspend`)).toMatchObject({
        status: 412,
        json: {
          error: "failed_precondition: unable to suspend machine from current state: 'destroyed'",
        },
      });
    });

    test("a machine whose services are not to be registered is cordoned from its first moment", async () => {
      const made = await rest().machine(app, {}, { skip_service_registration: true });

      expect(made).toMatchObject({ state: "started", cordoned: true });
      expect(made).not.toHaveProperty("warnings");
      expect(await ok("GET", path(made.id))).toMatchObject({ cordoned: true });
      await ok("POST", `${path(made.id)}/uncordon`);
      expect(await ok("GET", path(made.id))).toMatchObject({ cordoned: false });
    });

    test("cordon and uncordon are told", async () => {
      expect(await ok("POST", `${path(id)}/cordon`)).toEqual({ ok: true });
      expect(await ok("GET", path(id))).toMatchObject({ cordoned: true });
      expect(await ok("POST", `${path(id)}/uncordon`)).toEqual({ ok: true });
      expect(await ok("GET", path(id))).toMatchObject({ cordoned: false });
    });
  });

  test("a stop makes a machine stopped that was never started", async () => {
    const { id } = await rest().machine(app, {}, { skip_launch: true });

    expect(await ok("POST", `${path(id)}/stop`)).toEqual({ ok: true });
    expect(await ok("GET", `${path(id)}/wait?state=stopped`)).toMatchObject({ ok: true, state: "stopped" });
    expect(await ok("POST", `${path(id)}/start`)).toMatchObject({ previous_state: "stopped" });
  });

  test("an update that leaves a machine stopped is told as flyctl knows it", async () => {
    const { id } = await rest().machine(app, NO_RESTART);
    await ok("POST", `${path(id)}/stop`);
    await ok("POST", path(id), { config: { image: rest().image } });

    const [newest] = await ok("GET", `${path(id)}/events`);

    expect(newest).toMatchObject({ type: "update", status: "stopped", source: "flyd" });
  });

  test("no app has a role: none is taken for a builder of flyctl's", async () => {
    const all = await ok("GET", "/apps?org_slug=personal&app_role=");
    const builders = await ok("GET", "/apps?org_slug=personal&app_role=remote-docker-builder");

    expect(all.apps.map(({ name }: { name: string }) => name)).toContain(app);
    expect(builders).toEqual({ apps: [], total_apps: 0 });
  });
}
