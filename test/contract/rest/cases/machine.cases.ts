import { beforeAll, describe, expect, test } from "vitest";
import type { Answered, RestFleet } from "../rest-fleet.ts";

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** What published clients read in a machine and its events. */
export function machineCases(rest: () => RestFleet): void {
  describe("machines", () => {
    let app: string;
    beforeAll(async () => {
      app = await rest().app();
    });
    const machines = () => `/apps/${app}/machines`;
    const get = (id: string) => rest().ok("GET", `${machines()}/${id}`);

    test("one has all that clients read, and no null", async () => {
      const created = await rest().machine(app, { services: [{ internal_port: 80 }] });
      const shown = await rest().call("GET", `${machines()}/${created.id}`);

      expect(shown.text).not.toContain("null");
      expect(shown.json).toMatchObject({
        ...{ id: created.id, state: "started", region: "ord", host_status: "ok", checks: [] },
        private_ip: expect.stringMatching(/^fdaa:/),
        instance_id: expect.stringMatching(ULID),
        config: { guest: { cpu_kind: "shared", cpus: 1, memory_mb: 256 }, init: {} },
        image_ref: {
          repository: "samples/hello",
          tag: "latest",
          digest: expect.stringMatching(/^sha256:/),
          labels: {},
        },
      });
      expect(shown.json.version).toBe(shown.json.instance_id);
      for (const time of [shown.json.created_at, shown.json.updated_at]) {
        expect(new Date(time).toISOString().slice(0, 19)).toBe(time.slice(0, 19));
      }
    });

    test("a create answers exactly 200, and the machine is there at once", async () => {
      const created = await rest().call("POST", machines(), { config: { image: rest().image } });

      expect(created.status).toBe(200);
      const { id } = created.json;
      const [shown, waited, listed] = await Promise.all([
        rest().call("GET", `${machines()}/${id}`),
        rest().call("GET", `${machines()}/${id}/wait`),
        rest().ok("GET", machines()),
      ]);
      expect([shown.status, waited.status]).toEqual([200, 200]);
      expect(listed.map((each: { id: string }) => each.id)).toContain(id);
    });

    test.each([
      ["when its program ends", { init: { exec: ["sim-run-for", "200", "sim-exit", "0"] } }],
      ["when it is stopped", {}],
    ])("a machine with auto_destroy is destroyed %s", async (_, config) => {
      const { id } = await rest().machine(app, {
        ...config,
        auto_destroy: true,
        restart: { policy: "no" },
      });
      if (!("init" in config)) await rest().ok("POST", `${machines()}/${id}/stop`);

      const waited = await rest().ok("GET", `${machines()}/${id}/wait?state=destroyed&timeout=30`);

      expect(waited).toMatchObject({ ok: true, state: "destroyed" });
    });

    test("a program that fails is restarted, and each exit counts the restarts before it", async () => {
      const { id } = await rest().machine(app, {
        init: { exec: ["sim-run-for", "50", "sim-exit", "3"] },
        restart: { policy: "on-failure", max_retries: 2 },
      });
      await rest().ok("GET", `${machines()}/${id}/wait?state=stopped&timeout=60`);

      const events: Answered["json"][] = await rest().ok("GET", `${machines()}/${id}/events`);
      const exits = events.filter(({ type }) => type === "exit").reverse();
      expect(exits.map(({ request }) => request.restart_count)).toEqual([0, 1, 2]);
      expect(exits.map(({ request }) => request.exit_event.exit_code)).toEqual([3, 3, 3]);
      expect(exits.map(({ request }) => request.exit_event.restarting)).toEqual([true, true, false]);
    });

    test("a destroyed machine is still told for a while, and its name is free at once", async () => {
      const { id } = await rest().machine(app, {}, { name: "phoenix" });
      await rest().ok("DELETE", `${machines()}/${id}?force=true`);

      expect(await get(id)).toMatchObject({ id, state: "destroyed" });
      const ids = (await rest().ok("GET", machines())).map((each: { id: string }) => each.id);
      expect(ids).not.toContain(id);
      const deleted = await rest().ok("GET", `${machines()}?include_deleted=`);
      expect(deleted.map((each: { id: string }) => each.id)).toContain(id);
      expect(await rest().machine(app, {}, { name: "phoenix", skip_launch: true })).toMatchObject({
        name: "phoenix",
      });
    });

    test("events have Fly's words, newest first, and an exit is whole", async () => {
      const { id } = await rest().machine(app, { restart: { policy: "no" } });
      await rest().ok("POST", `${machines()}/${id}/stop`);
      const events: Answered["json"][] = await rest().ok("GET", `${machines()}/${id}/events`);

      expect((await get(id)).events).toEqual(events);
      expect(events.map(({ id: event }) => event)).toEqual(
        [...events.map(({ id: event }) => event)].sort().reverse(),
      );
      for (const event of events) {
        expect(event).toMatchObject({ id: expect.stringMatching(ULID), timestamp: expect.any(Number) });
        expect(["user", "flyd"]).toContain(event.source);
      }
      expect(events.at(-1)).toMatchObject({ type: "launch", status: "created", source: "user" });
      expect(events.find(({ type }) => type === "start")).toMatchObject({ status: "started", request: {} });
      expect(events.find(({ type }) => type === "exit")).toMatchObject({
        ...{ status: "stopped", source: "flyd" },
        request: {
          restart_count: 0,
          exit_event: {
            ...{ requested_stop: true, restarting: false, oom_killed: false, signal: 2, guest_signal: 2 },
            ...{ exit_code: 130, guest_exit_code: 130, error: "", guest_error: "" },
            exited_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          },
        },
      });
      expect(await rest().ok("GET", `${machines()}/${id}/events?limit=1`)).toEqual(events.slice(0, 1));
    });
  });
}
