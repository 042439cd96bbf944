import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

/** What published clients send to create a machine, and how it comes back. */
export function bodyCases(rest: () => RestFleet): void {
  describe("machines", () => {
    let app: string;
    beforeAll(async () => {
      app = await rest().app();
    });
    const machines = () => `/apps/${app}/machines`;
    const get = (id: string) => rest().ok("GET", `${machines()}/${id}`);

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

    test("every wrong field is named at once", async () => {
      const config = { image: 5, guest: { cpus: "x" }, services: [{ internal_port: 99_999 }], env: { A: 1 } };
      const { status, json } = await rest().call("POST", machines(), { config, skip_launch: "perhaps" });

      expect(status).toBe(400);
      for (const field of ["image", "guest.cpus", "services[0].internal_port", "env.A"]) {
        expect(json.error).toContain(`config.${field}:`);
      }
      expect(json.error).toContain("skip_launch:");
    });
  });
}
