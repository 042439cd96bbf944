import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ListHostsResponse } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  ListMachinesRequest,
  ListMachinesResponse,
  MachinesServiceService,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { token } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const MIB = 1024 * 1024;
const MACHINES = 40;

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());

test("pages of machines with large configurations end before 3 MiB, and a stock client reads them all", async () => {
  const created = await Promise.all(Array.from({ length: MACHINES }, () => api.user.create()));
  await world.sql(
    `update machines set snapshot = jsonb_set(snapshot, '{config,image}', to_jsonb(repeat('x', 190000)))`,
  );
  const stock = new grpc.Client(api.address, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${await token("personal", ["machines:read"])}`);
  const { path, requestSerialize, responseDeserialize } = MachinesServiceService.listMachines;
  const list = (pageSize: number, pageToken: string) =>
    new Promise<ListMachinesResponse>((resolve, reject) => {
      const request = ListMachinesRequest.fromPartial({ app: "web", pageSize, pageToken });
      stock.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, (err, page) =>
        err || !page ? reject(err) : resolve(page),
      );
    });

  for (const pageSize of [0, 7, 1_000]) {
    const pages: ListMachinesResponse[] = [];
    do {
      pages.push(await list(pageSize, pages.at(-1)?.nextPageToken ?? ""));
    } while (pages.at(-1)?.nextPageToken !== "");

    const ids = pages.flatMap(({ machines }) => machines.map(({ id }) => id));
    expect(new Set(ids)).toEqual(new Set(created.map(({ machine }) => machine?.id)));
    expect(ids).toHaveLength(MACHINES);
    for (const page of pages) expect(ListMachinesResponse.encode(page).finish().length).toBeLessThan(3 * MIB);
  }
  stock.close();
});

test("hosts are listed at once, or by pages", async () => {
  const { hosts } = api.admin;
  const all = await call(hosts, hosts.listHosts, { region: "" }, LIMIT);
  const first = await call(hosts, hosts.listHosts, { region: "", pageSize: 1 }, LIMIT);
  const rest: ListHostsResponse = await call(
    hosts,
    hosts.listHosts,
    { region: "", pageSize: 1, ...(first.nextPageToken ? { pageToken: first.nextPageToken } : {}) },
    LIMIT,
  );

  expect(all.nextPageToken).toBeUndefined();
  expect(all.hosts.map(({ number }) => number)).toEqual([1, 2]);
  expect([first, rest].map((page) => page.hosts.map(({ number }) => number))).toEqual([[1], [2]]);
  expect(rest.nextPageToken).toBeUndefined();
});
