import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Answered, RestFleet } from "../rest-fleet.ts";

const WAIT_RANGE =
  "invalid_argument: invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]";
const NO_RESTART = { restart: { policy: "no" } };

/** Starts, stops, waits, leases and texts as published clients rely on them. */
export function lifecycleCases(rest: () => RestFleet): void {
  const call = (...request: Parameters<RestFleet["call"]>) => rest().call(...request);
  const ok = (...request: Parameters<RestFleet["ok"]>) => rest().ok(...request);
  let app: string;
  const path = (id: string) => `/apps/${app}/machines/${id}`;

  beforeAll(async () => {
    app = await rest().app();
  });

  describe("texts that clients match", () => {
    test("what is not there", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });

      expect((await call("GET", "/apps/no-such-app")).json.error).toBe("Could not find App");
      expect((await call("GET", path("00001ffffffff1"))).json.error).toBe("machine not found");
      expect((await call("GET", `${path(id)}/lease`)).json.error).toBe("lease not found");
    });

    test("an app name that is taken", async () => {
      const { status, json } = await call("POST", "/apps", { name: app, org_slug: "personal" });

      expect({ status, json }).toMatchObject({ status: 422, json: { status: "name_taken" } });
      expect(json.error).toContain("taken");
    });

    test("a machine name that is taken says whose it is", async () => {
      const { id } = await rest().machine(app, {}, { name: "unique", skip_launch: true });
      const { status, json } = await call("POST", `/apps/${app}/machines`, {
        name: "unique",
        config: { image: rest().image },
      });

      expect(status).toBe(409);
      expect(json.error).toMatch(
        new RegExp(
          `^already_exists: unique machine name violation, machine ID ${id} already exists with name`,
        ),
      );
    });

    test("of creates with one name at a time one works, and the others say whose the name is", async () => {
      const create = { name: "contended", config: { image: rest().image }, skip_launch: true };
      const answers = await Promise.all([1, 2, 3].map(() => call("POST", `/apps/${app}/machines`, create)));

      const [made] = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 409);
      expect(refused).toHaveLength(2);
      for (const { json } of refused)
        expect(json.error).toContain(`machine ID ${made?.json.id} already exists`);
    });

    test("a host without room, recognised by clients, and no other refusal is", async () => {
      const guest = { cpu_kind: "performance", cpus: 16, memory_mb: 32_768 };
      const { status, json } = await call("POST", `/apps/${app}/machines`, {
        config: { image: rest().image, guest },
      });

      expect({ status, json }).toMatchObject({ status: 409, json: { status: "insufficient_capacity" } });
      expect(json.error).toMatch(
        /^aborted: could not reserve resource for machine: insufficient (memory|CPUs)/,
      );
      const others = [
        await call("GET", path("00001ffffffff1")),
        await call("POST", `/apps/${app}/machines`, { config: {} }),
        await call("POST", "/apps", { name: app }),
      ];
      for (const { text } of others) expect(text).not.toMatch(/ for machine|insufficient_capacity/);
    });

    test("a machine's own host without room, told from a region without", async () => {
      const { id, instance_id } = await rest().machine(app, NO_RESTART);
      const guest = { cpu_kind: "performance", cpus: 16, memory_mb: 32_768 };

      const { status, json } = await call("POST", path(id), { config: { image: rest().image, guest } });

      // Any code would be the last word for the Go client: it reads the scope in the text.
      expect({ status, json }).toMatchObject({ status: 409, json: { status: "", scope: "host" } });
      expect(json.error).toMatch(/insufficient (memory|CPUs) available to fulfill request/);
      expect(await ok("GET", path(id))).toMatchObject({ state: "started", instance_id });
    });

    test("a destroyed machine cannot be started", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      await ok("DELETE", path(id));

      const { status, json } = await call("POST", `${path(id)}/start`);

      expect({ status, error: json.error }).toEqual({
        status: 412,
        error: "failed_precondition: unable to start machine from current state: 'destroyed'",
      });
    });

    test("a duration without a unit", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      const { status, json } = await call("POST", `${path(id)}/stop`, { timeout: "10" });

      expect(status).toBe(400);
      expect(json.error).toContain('missing unit in duration "10"');
    });
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

  describe("waits", () => {
    test.each([
      "state=started",
      "state=stopped&state=started",
      "state=stopped,started",
      "state=settled",
      "timeout=5&state=started&status=whatever",
      "timeout=5s",
      "timeout=1m0s",
      "",
    ])("a wait takes %s", async (query) => {
      const { id, instance_id } = await rest().machine(app, NO_RESTART);

      expect(await ok("GET", `${path(id)}/wait?${query}`)).toMatchObject({
        ...{ ok: true, state: "started", version: instance_id, event_id: expect.any(String) },
      });
    });

    test.each(["timeout=61", "timeout=0.5", "timeout=2m", "timeout=500ms", "timeout=-1", "timeout=-1s"])(
      "%s is out of range",
      async (query) => {
        const { id } = await rest().machine(app, {}, { skip_launch: true });

        const { status, json } = await call("GET", `${path(id)}/wait?${query}`);

        expect({ status, error: json.error }).toEqual({ status: 400, error: WAIT_RANGE });
      },
    );

    test("one that runs out says what it waited for and what there is", async () => {
      const { id } = await rest().machine(app, NO_RESTART);

      const { status, json } = await call("GET", `${path(id)}/wait?state=stopped&timeout=1`);

      expect({ status, error: json.error }).toEqual({
        status: 408,
        error: "deadline_exceeded: machine failed to reach desired state, stopped, currently started",
      });
    });

    test("what can no longer come ends at once", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      await ok("DELETE", path(id));

      const { status } = await call("GET", `${path(id)}/wait?state=started&timeout=60`);

      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(status).not.toBe(408);
    });

    test("one for a version that was replaced says so", async () => {
      const { id, instance_id } = await rest().machine(app, NO_RESTART, { skip_launch: true });
      await ok("POST", path(id), { config: { image: rest().image } });

      for (const name of ["version", "instance_id"]) {
        const { status, json } = await call("GET", `${path(id)}/wait?state=started&${name}=${instance_id}`);
        expect(status).toBe(412);
        expect(json.error).toBe(
          "failed_precondition: machine failed to reach desired state, started, currently replaced",
        );
      }
    });

    test("what another call brings about is waited for", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      const waiting = ok("GET", `${path(id)}/wait?state=started&timeout=30`);
      await ok("POST", `${path(id)}/start`);

      expect(await waiting).toMatchObject({ ok: true, state: "started" });
    });

    test("from an event on, the present state does not count", async () => {
      const { id } = await rest().machine(app, NO_RESTART);
      const { event_id } = await ok("GET", `${path(id)}/wait?state=started`);

      const { status } = await call(
        "GET",
        `${path(id)}/wait?state=started&timeout=1&from_event_id=${event_id}`,
      );
      expect(status).toBe(408);
      const waiting = ok("GET", `${path(id)}/wait?state=started&timeout=30&from_event_id=${event_id}`);
      await ok("POST", `${path(id)}/restart`);
      expect((await waiting).event_id > event_id).toBe(true);
    });

    test("an unknown state is refused", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });

      expect(await call("GET", `${path(id)}/wait?state=flying`)).toMatchObject({ status: 400 });
    });
  });
}
