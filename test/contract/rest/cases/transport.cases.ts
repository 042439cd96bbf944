import * as net from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import type { RestFleet } from "../rest-fleet.ts";

/** How published clients send requests, and what they expect of every answer. */
export function transportCases(rest: () => RestFleet): void {
  describe("requests as published clients send them", () => {
    let app: string;
    let id: string;
    let machine: string;

    beforeAll(async () => {
      app = await rest().app();
      ({ id } = await rest().machine(app, {}, { skip_launch: true }));
      machine = `/apps/${app}/machines/${id}`;
    });

    test.each(["Bearer", "bearer", "BEARER", "FlyV1", "flyv1", "Bearer FlyV1"])(
      "the scheme %s is taken",
      async (scheme) => {
        const authorization = `${scheme} ${rest().token}`;

        expect(await rest().call("GET", machine, undefined, { authorization })).toMatchObject({
          status: 200,
        });
      },
    );

    test.each([
      "application/json",
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/octet-stream",
    ])("a JSON body is JSON although its type is %s", async (type) => {
      const body = JSON.stringify({ value: "x" });
      const { status } = await rest().call("POST", `${machine}/metadata/kind`, body, {
        "content-type": type,
      });

      expect(status).toBe(204);
    });

    test.each(["", "[]", "{}", "null", " \n"])("the body %j of a stop is nothing", async (body) => {
      expect(await rest().ok("POST", `${machine}/stop`, body)).toEqual({ ok: true });
    });

    test.each([`"text"`, "[1]", "5", "{", "{'a': 1}", "nonsense"])(
      "the body %s is refused as JSON",
      async (body) => {
        const { status, json } = await rest().call("POST", `${machine}/stop`, body);

        expect({ status, json }).toMatchObject({
          status: 400,
          json: { error: expect.stringMatching(/^invalid_argument: body/) },
        });
      },
    );

    test("a GET and a DELETE may have a JSON content type, and a DELETE a body", async () => {
      const json = { "content-type": "application/json" };
      const { id: other } = await rest().machine(app, {}, { skip_launch: true });

      expect((await rest().call("GET", machine, undefined, json)).status).toBe(200);
      expect(await rest().ok("DELETE", `/apps/${app}/machines/${other}`, { any: "thing" })).toEqual({
        ok: true,
      });
    });

    test("a DELETE may say in its body that it forces, and what is no JSON there does no harm", async () => {
      const { id: other } = await rest().machine(app);
      const path = `/apps/${app}/machines/${other}`;

      expect((await rest().call("DELETE", path, "{nonsense")).status).toBe(412);
      expect((await rest().call("DELETE", path, { force: false })).status).toBe(412);
      expect(await rest().ok("DELETE", path, { force: true })).toEqual({ ok: true });
    });

    test("a path may have the version twice, as clients that are generated send it", async () => {
      const { tokens } = await rest().ok("GET", "/v1/tokens/current");

      expect(tokens).toMatchObject([{ org_slug: "personal" }]);
    });

    test.each(["/", "/?", "?", "?unknown=1&other", "?summary=false&"])(
      "the path may end with %s",
      async (end) => {
        const { status } = await rest().call("GET", `${machine}${end}`);

        expect(status).toBe(200);
      },
    );

    test.each(["/apps//machines", "/apps//machines/", "/apps/Any_Name", "/apps/Any_Name/machines/"])(
      "a name that no app can have is no app, and an empty one does not stand for all: %s",
      async (path) => {
        const { status, json } = await rest().call("GET", path);

        expect({ status, json }).toMatchObject({ status: 404, json: { error: "Could not find App" } });
      },
    );

    test("of a parameter that is repeated the last value counts, unless it is a list", async () => {
      const times = "updated_after=never&updated_after=2020-01-01T00:00:00Z";

      expect((await rest().call("GET", `${machine}/events?limit=x&limit=1`)).json).toHaveLength(1);
      expect((await rest().call("GET", `/orgs/personal/machines?limit=x&limit=1&${times}`)).status).toBe(200);
      const { id: fresh } = await rest().machine(app, {}, { skip_launch: true });
      const both = await rest().ok("GET", `/apps/${app}/machines?state=destroyed&state=created`);
      expect(both.map((each: { id: string }) => each.id)).toContain(fresh);
    });

    test("a time zone's plus need not be escaped", async () => {
      const path = "/orgs/personal/machines?updated_after=2020-01-01T00:00:00";

      expect((await rest().call("GET", `${path}+02:00`)).status).toBe(200);
      expect((await rest().call("GET", `${path} 02`)).status).toBe(400);
    });

    test("parts of a path may be escaped", async () => {
      const escaped = [...app].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("");

      expect((await rest().call("GET", `/apps/${escaped}/machines/${id}`)).status).toBe(200);
      await rest().ok("POST", `${machine}/metadata/a%2Fb%20c`, { value: "x" });
      expect(await rest().ok("GET", `${machine}/metadata`)).toMatchObject({ "a/b c": "x" });
    });

    test.each([
      "/apps/%zz",
      "/apps/%00",
      "/apps/..%2f..%2fetc",
      "/nothing",
      "/apps/a/machines/x/nothing",
      "/apps/a/b/c/d/e/f",
    ])("the path %s is answered as JSON", async (path) => {
      const { status, json, headers } = await rest().call("GET", path);

      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(json).toMatchObject({ error: expect.any(String) });
      expect(headers.get("content-type")).toMatch(/^application\/json/);
    });

    test("an unknown path, a wrong method and what is not built yet are told apart", async () => {
      const unknown = await rest().call("GET", "/nothing");
      const wrong = await rest().call("PATCH", machine);
      const unbuilt = await rest().call("GET", `/apps/${app}/volumes`);
      const missing = await rest().call("GET", `/apps/${app}/machines/00001ffffffff0`);

      expect([unknown.status, wrong.status, unbuilt.status, missing.status]).toEqual([404, 405, 501, 404]);
      expect(wrong.headers.get("allow")).toContain("POST");
      expect(missing.json.error).toBe("machine not found");
      expect(unknown.json.error).not.toBe(missing.json.error);
    });

    test("every answer has ids, errors too, and a caller's trace goes on", async () => {
      const trace = "0af7651916cd43dd8448eb211c80319c";
      const traceparent = `00-${trace}-b7ad6b7169203331-01`;
      const good = await rest().call("GET", machine, undefined, { traceparent, b3: "0" });
      const bad = await rest().call("GET", "/nothing");

      for (const { headers } of [good, bad]) {
        expect(headers.get("fly-request-id")).toMatch(/^[0-9A-Z]{26}-[a-z]+$/);
        expect(headers.get("fly-trace-id")).toMatch(/^[0-9a-f]{32}$/);
      }
      expect(good.headers.get("fly-trace-id")).toBe(trace);
    });

    test("every member of an error is a text", async () => {
      const answers = [
        await rest().call("GET", "/nothing"),
        await rest().call("POST", `/apps/${app}/machines`, { config: { image: 1 }, name: [] }),
        await rest().call("GET", machine, undefined, { authorization: "Bearer x" }),
        await rest().call("GET", `${machine}/wait?timeout=61`),
      ];

      for (const { json, text } of answers) {
        expect(
          Object.values(json).every((value) => typeof value === "string"),
          text,
        ).toBe(true);
        expect(json.error).not.toBe("");
      }
    });

    test("HEAD answers as GET does, without a body; OPTIONS says what is allowed", async () => {
      const head = await rest().call("HEAD", machine);
      const options = await fetch(`${rest().url}/v1${machine}`, {
        method: "OPTIONS",
        headers: { origin: "https://example.com", "access-control-request-method": "POST" },
      });

      expect({ status: head.status, text: head.text }).toEqual({ status: 200, text: "" });
      expect(options.status).toBeLessThan(300);
      expect(options.headers.get("access-control-allow-methods")).toContain("POST");
    });

    test("a body that is too large is refused with a JSON answer", async () => {
      const config = { image: rest().image, env: { A: "x".repeat(2 ** 21) } };
      const { status, json } = await rest().call("POST", `/apps/${app}/machines`, { config });

      expect({ status, json }).toMatchObject({ status: 413, json: { error: expect.any(String) } });
    });

    test("what is not HTTP is answered as HTTP, and the connection ends", async () => {
      const { hostname, port } = new URL(rest().url);
      const socket = net.connect(Number(port), hostname);
      let answer = "";
      socket.on("data", (bytes: Buffer) => {
        answer += bytes.toString();
      });
      socket.end("nonsense\r\n\r\n");
      await new Promise((resolve) => socket.once("close", resolve));

      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('"error"');
    });
  });
}
