import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

/** Updates of machines as published clients ask for them. */
export function updateCases(rest: () => RestFleet): void {
  describe("machines", () => {
    let app: string;
    beforeAll(async () => {
      app = await rest().app();
    });
    const machines = () => `/apps/${app}/machines`;
    const get = (id: string) => rest().ok("GET", `${machines()}/${id}`);

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
  });
}
