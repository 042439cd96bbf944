import { beforeAll, describe, expect, test } from "vitest";
import type { Answered, RestFleet } from "../rest-fleet.ts";

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** What published clients read in machines, and what they send to create and update them. */
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

    test("lists without entries are lists", async () => {
      const empty = await rest().app();

      expect(await rest().ok("GET", `/apps/${empty}/machines`)).toEqual([]);
      expect(await rest().ok("GET", `/orgs/personal/machines?region=gru`)).toMatchObject({
        ...{ machines: [], error_regions: [] },
      });
    });

    test("the organisation's list goes on from page to page, oldest change first", async () => {
      // Of its own: a machine that changes meanwhile comes again, and other tests leave some that run.
      const authorization = `Bearer ${await rest().organization("paged", "Paged")}`;
      const ask = (method: string, path: string, body?: object) =>
        rest().ok(method, path, body, { authorization });
      await ask("POST", "/apps", { app_name: "paged", org_slug: "paged" });
      const create = { config: { image: rest().image }, skip_launch: true };
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) ids.push((await ask("POST", "/apps/paged/machines", create)).id);

      const seen: Answered["json"][] = [];
      let cursor = "";
      do {
        const page = await ask("GET", `/orgs/paged/machines?limit=2&cursor=${cursor}`);
        seen.push(...page.machines);
        cursor = page.next_cursor ?? "";
        expect(page.last_machine_id).toBe(page.machines.at(-1)?.id);
      } while (cursor !== "" && seen.length < 20);

      const times = seen.map(({ updated_at }) => updated_at);
      expect(times).toEqual([...times].sort());
      expect(seen.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
      expect(seen.every(({ app_name, config }) => app_name && config.guest && !config.env)).toBe(true);
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

    test("a list tells what get tells, and a summary leaves out what is documented", async () => {
      const { id } = await rest().machine(app, { env: { A: "1" }, metadata: { only: "this" } });
      const shown = await get(id);
      const [listed] = await rest().ok("GET", `${machines()}?metadata.only=this`);
      const [summary] = await rest().ok("GET", `${machines()}?metadata.only=this&summary=true`);

      expect(listed).toEqual(shown);
      for (const name of ["config", "checks", "events", "host_status", "nonce"])
        expect(summary).not.toHaveProperty(name);
      expect(summary).toMatchObject({ id, state: "started" });
    });

    test("lists are filtered by region and state", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      const ids = async (query: string) =>
        (await rest().ok("GET", `${machines()}?${query}`)).map((each: { id: string }) => each.id);

      expect(await ids("state=created")).toContain(id);
      expect(await ids("state=created,stopped&region=ord")).toContain(id);
      expect(await ids("state=started")).not.toContain(id);
      expect(await ids("region=gru")).toEqual([]);
      expect((await rest().call("GET", `${machines()}?state=flying`)).status).toBe(400);
    });

    test("a configuration comes back as it was sent, unknown members included", async () => {
      const config = {
        env: { A: "1" },
        services: [
          {
            ...{ protocol: "tcp", internal_port: 8080, autostop: "suspend", autostart: true },
            ports: [{ port: 443, handlers: ["tls", "http"], http_options: { compress: true } }],
            concurrency: { type: "requests", soft_limit: 20 },
          },
        ],
        checks: { alive: { type: "tcp", port: 8080, interval: "90s", timeout: "2s" } },
        metrics: { port: 9091, path: "/metrics" },
        statics: [{ guest_path: "/p", url_prefix: "/s" }],
        future: { nested: [{ a: null }, 1] },
        stop_config: { signal: "SIGTERM", timeout: "90s" },
      };
      const { id } = await rest().machine(app, config);

      const shown = await get(id);

      expect(shown.config).toMatchObject(config);
    });

    test("what was read can be posted, and changes nothing", async () => {
      const { id } = await rest().machine(app, {
        services: [{ internal_port: 81, autostop: "stop" }],
        x: [1],
      });
      const { config, name, region } = await get(id);

      const updated = await rest().ok("POST", `${machines()}/${id}`, { config, name, region });
      const clone = await rest().ok("POST", machines(), { config, region });

      expect(updated.config).toEqual(config);
      expect(clone.config).toEqual(config);
      expect(clone.id).not.toBe(id);
    });

    test("an update may name the machine as it is, and nothing else", async () => {
      const { id, name, region } = await rest().machine(app, {}, { skip_launch: true });
      const config = { image: rest().image };
      const update = (more: object) => rest().call("POST", `${machines()}/${id}`, { config, ...more });

      expect((await update({ name, region })).status).toBe(200);
      expect((await update({ name: "", region: null })).status).toBe(200);
      const refused = await update({ name: "other", region: "gru" });
      expect(refused.status).toBe(400);
      expect(refused.json.error).toMatch(/name: cannot be changed.*region: cannot be changed/);
    });

    test("an update of an old version is refused, and one of the present version is not", async () => {
      const { id, instance_id } = await rest().machine(app, {}, { skip_launch: true });
      const config = { image: rest().image };
      const update = (current_version: string) =>
        rest().call("POST", `${machines()}/${id}`, { config, current_version });

      expect((await update(instance_id)).status).toBe(200);
      expect([409, 412]).toContain((await update(instance_id)).status);
    });

    test("an update with a key is made once, however often it is asked for, and gets one lease", async () => {
      const { id, instance_id } = await rest().machine(app);
      const config = { image: rest().image, env: { A: "1" } };
      const key = { "idempotency-key": "the deploy of today" };
      const body = { config, current_version: instance_id, lease_ttl: 30 };
      const update = (sent: object, headers: Record<string, string> = key) =>
        rest().call("POST", `${machines()}/${id}`, sent, headers);

      const all = [...(await Promise.all([update(body), update(body)]))];
      const nonce = { "fly-machine-lease-nonce": String(all[0]?.json.nonce) };
      const other = await update({ ...body, config: { ...config, env: {} } }, { ...key, ...nonce });

      expect(all.map(({ status, json }) => [status, json.instance_id, json.nonce])).toEqual(
        Array(2).fill([200, all[0]?.json.instance_id, all[0]?.json.nonce]),
      );
      expect(all[0]?.json.instance_id).not.toBe(instance_id);
      expect(other).toMatchObject({ status: 400, json: { reason: "REQUEST_ID_REUSED" } });
      const { events } = await rest().ok("GET", `${machines()}/${id}`);
      expect(events.filter(({ type }: { type: string }) => type === "update")).toHaveLength(1);
      await rest().ok("DELETE", `${machines()}/${id}?force=true`, undefined, nonce);
    });

    test("a stopped machine stays stopped when it is updated, unless asked to launch", async () => {
      const { id } = await rest().machine(app, {}, { skip_launch: true });
      const update = (more: object) =>
        rest().ok("POST", `${machines()}/${id}`, { config: { image: rest().image }, ...more });

      expect((await update({})).state).not.toBe("started");
      expect(await update({ launch: true })).toMatchObject({ state: "started" });
      expect(await update({ skip_launch: true })).toMatchObject({ state: "stopped" });
    });

    test("a version that does not become ready is rolled back when asked to", async () => {
      const { id, instance_id } = await rest().machine(app, { env: { V: "1" } });
      const config = { image: rest().image, init: { exec: ["sim-exec-fail", "not_found"] } };
      const { status, json } = await rest().call("POST", `${machines()}/${id}`, {
        config,
        rollback: true,
      });

      expect(status, JSON.stringify(json)).toBeGreaterThanOrEqual(400);
      const shown = await get(id);
      expect(shown).toMatchObject({ state: "started", config: { env: { V: "1" } } });
      expect(shown.instance_id >= instance_id).toBe(true);
    });

    test("the image may be registry/repository:tag@digest, as a client joins it", async () => {
      const { image_ref: image } = await rest().machine(app, {}, { skip_launch: true });
      const joined = `${image.registry}/${image.repository}:${image.tag}@${image.digest}`;

      expect(await rest().machine(app, { image: joined }, { skip_launch: true })).toMatchObject({
        config: { image: joined },
        image_ref: { digest: image.digest },
      });
    });

    test("what Go's encoder sends for nothing is nothing", async () => {
      const request = {
        ...{
          name: "",
          region: "",
          skip_launch: true,
          skip_secrets: false,
          min_secrets_version: null,
          lease_ttl: 0,
        },
        config: {
          ...{ image: rest().image, init: {}, mounts: null, metadata: null, size: "", env: {} },
          services: [{ protocol: "tcp", internal_port: 80, force_instance_key: null }],
          statics: [],
        },
      };

      const created = await rest().ok("POST", machines(), request);

      expect(created).toMatchObject({ state: "created", config: { guest: { memory_mb: 256 } } });
      expect(created.config.services[0]).not.toHaveProperty("force_instance_key");
    });

    test("one and zero are true and false, and seconds may have a unit", async () => {
      const { id, nonce } = await rest().machine(app, {}, { skip_launch: 1, lease_ttl: "1m" });

      expect(nonce).toMatch(/^[0-9a-f]+$/);
      expect((await get(id)).state).toBe("created");
      expect((await rest().machine(app, {}, { skip_launch: 0 })).state).toBe("started");
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

    test("every wrong field is named at once", async () => {
      const config = { image: 5, guest: { cpus: "x" }, services: [{ internal_port: 99_999 }], env: { A: 1 } };
      const { status, json } = await rest().call("POST", machines(), { config, skip_launch: "perhaps" });

      expect(status).toBe(400);
      for (const field of ["image", "guest.cpus", "services[0].internal_port", "env.A"]) {
        expect(json.error).toContain(`config.${field}:`);
      }
      expect(json.error).toContain("skip_launch:");
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
