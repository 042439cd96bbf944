import { createRequire } from "node:module";
import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

const require = createRequire(import.meta.url);
/** The package as it is published. Its entry takes no address; the class behind it does. */
const { default: Client }: typeof import("fly-admin/dist/client.js") = require("fly-admin/dist/client");
type FlyAdmin = InstanceType<typeof Client>;

/** Every method of `fly-admin` that applies. One story: each test goes on where the one before it ended. */
export function flyAdminCases(rest: () => RestFleet): void {
  describe("the package fly-admin, unmodified,", { shuffle: false }, () => {
    const app = "fly-admin-app";
    let fly: FlyAdmin;
    let machine_id: string;
    const machine = () => ({ app_name: app, machine_id });

    beforeAll(() => {
      const { url, token } = rest();
      fly = new Client(token, { apiUrl: url, graphqlUrl: url });
    });

    test("creates, shows and lists apps", async () => {
      await fly.App.createApp({ org_slug: "personal", app_name: app, network: "blue" } as never);

      expect(await fly.App.getApp(app)).toMatchObject({
        ...{ name: app, status: "pending", organization: { slug: "personal" } },
      });
      const { apps, total_apps } = await fly.App.listApps("personal");
      expect(apps).toContainEqual(expect.objectContaining({ name: app, network: "blue" }));
      expect(total_apps).toBeGreaterThan(0);
    });

    test("shows an app over GraphQL", async () => {
      expect(await fly.App.getAppDetailed(app)).toMatchObject({
        ...{ name: app, organization: { slug: "personal" }, ipAddresses: [] },
      });
    });

    test("creates a machine", async () => {
      const restart = { policy: "no" };
      const config = { image: rest().image, env: { A: "1" }, metadata: { role: "web" }, restart };
      const created = await fly.Machine.createMachine({ app_name: app, name: "one", config } as never);

      machine_id = created.id;
      expect(created).toMatchObject({ name: "one", config: { env: { A: "1" }, guest: { cpus: 1 } } });
      expect(created.instance_id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    });

    test("waits for a machine, shows it and lists machines", async () => {
      expect(
        await fly.Machine.waitMachine({ ...machine(), state: "started", timeout: "30s" } as never),
      ).toMatchObject({ ok: true });

      const shown = await fly.Machine.getMachine(machine());
      expect(shown).toMatchObject({ id: machine_id, state: "started" });
      expect((await fly.Machine.listMachines(app)).map(({ id }) => id)).toEqual([machine_id]);
      const filter = { app_name: app, include_deleted: "" as const, region: shown.region };
      expect((await fly.Machine.listMachines(filter)).map(({ id }) => id)).toEqual([machine_id]);
    });

    test("lists events and versions", async () => {
      const events = await fly.Machine.listEvents(machine());

      expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["launch", "start"]));
      expect(events.every(({ source }) => source === "user" || source === "flyd")).toBe(true);
      const versions = await fly.Machine.listVersions(machine());
      expect(versions).toMatchObject([{ user_config: { env: { A: "1" } } }]);
    });

    test("updates a machine", async () => {
      const config = { image: rest().image, env: { A: "2" }, restart: { policy: "no" } };
      const updated = await fly.Machine.updateMachine({ ...machine(), config } as never);

      expect(updated.config.env).toEqual({ A: "2" });
      await fly.Machine.waitMachine({ ...machine(), instance_id: updated.instance_id, timeout: "30s" });
      expect(await fly.Machine.listVersions(machine())).toHaveLength(2);
    });

    test("signals, restarts, stops and starts a machine", async () => {
      expect(await fly.Machine.restartMachine({ ...machine(), timeout: "5s" })).toEqual({ ok: true });
      expect(await fly.Machine.restartMachine(machine())).toEqual({ ok: true });
      expect(await fly.Machine.signalMachine({ ...machine(), signal: "SIGTERM" as never })).toMatchObject({
        ok: true,
      });
      await fly.Machine.waitMachine({ ...machine(), state: "stopped", timeout: "30" } as never);
      expect(await fly.Machine.startMachine(machine())).toMatchObject({ previous_state: "stopped" });
      expect(await fly.Machine.stopMachine(machine())).toEqual({ ok: true });
      expect(await fly.Machine.getMachine(machine())).toMatchObject({ state: "stopped" });
    });

    test("cordons and uncordons a machine", async () => {
      expect(await fly.Machine.cordonMachine(machine())).toMatchObject({ ok: true });
      expect(await fly.Machine.uncordonMachine(machine())).toMatchObject({ ok: true });
    });

    test("reads the organisation and the regions over GraphQL", async () => {
      expect(await fly.Organization.getOrganization("personal")).toMatchObject({
        organization: { slug: "personal" },
      });
      expect(await fly.Regions.getRegions()).toMatchObject({
        platform: { regions: [expect.objectContaining({ code: expect.any(String) })] },
      });
    });

    test("is told what is not built yet", async () => {
      const volume = { app_name: app, name: "data", region: "ord" };

      await expect(fly.Volume.createVolume(volume as never)).rejects.toThrow(/^501: \{.*"error"/);
      await expect(fly.Secret.setSecrets({ appId: app, secrets: [] } as never)).rejects.toThrow();
      await expect(fly.Network.allocateIpAddress({ appId: app, type: "v6" } as never)).rejects.toThrow();
    });

    test("destroys a machine, and the app", async () => {
      await fly.Machine.startMachine(machine());
      await expect(fly.Machine.deleteMachine(machine())).rejects.toThrow(/^412: /);
      expect(await fly.Machine.deleteMachine({ ...machine(), force: true })).toEqual({ ok: true });
      await fly.App.deleteApp(app);
      await expect(fly.App.getApp(app)).rejects.toThrow(/^404: .*Could not find App/);
    });

    test("acquires and reads a lease", async () => {
      const other = await rest().app();
      const { id } = await rest().machine(other, {}, { skip_launch: true });
      const leased = { app_name: other, machine_id: id };

      const acquired = await fly.Machine.acquireLease({ ...leased, ttl: 60, description: "tests" });
      expect(acquired).toMatchObject({ status: "success", data: { description: "tests" } });
      expect((await fly.Machine.getLease(leased)).data.nonce).toBe(acquired.data.nonce);
      await expect(fly.Machine.startMachine(leased)).rejects.toThrow(/^409: .*lease currently held by/);
    });
  });
}
