import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";
import { requestsOf } from "./requests.ts";

const NO_RESTART = { restart: { policy: "no" } };

/** Texts of errors that published clients match. */
export function errorCases(rest: () => RestFleet): void {
  const { call, ok } = requestsOf(rest);
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
}
