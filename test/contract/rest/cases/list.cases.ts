import { beforeAll, describe, expect, test } from "vitest";
import type { Answered, RestFleet } from "../rest-fleet.ts";

/** What published clients read in lists of machines. */
export function listCases(rest: () => RestFleet): void {
  describe("machines", () => {
    let app: string;
    beforeAll(async () => {
      app = await rest().app();
    });
    const machines = () => `/apps/${app}/machines`;
    const get = (id: string) => rest().ok("GET", `${machines()}/${id}`);

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
  });
}
