import { afterAll, beforeAll, expect, test } from "vitest";
import type { Vmm } from "../../../../src/hostd/vmm/vmm.ts";
import { mapToProto } from "../../../../src/lib/grpc/messages/maps.ts";
import { startHost, type TestHost } from "../fixture.ts";

let host: TestHost;
let environment: Readonly<Record<string, string>> | undefined;

beforeAll(async () => {
  host = await startHost({ vmm: (sim) => noting(sim) });
});
afterAll(() => host.close());

test("a program is told about its machine, and the configuration has the last word", async () => {
  const env = mapToProto({ A: "request", PRIMARY_REGION: "gru" });
  const { id } = await host.created({ config: { env, metadata: mapToProto({ fly_process_group: "web" }) } });

  await host.start(id);

  const { region } = await host.get(id);
  expect(environment).toMatchObject({
    A: "request",
    B: "image",
    FLY_APP_NAME: "web",
    FLY_MACHINE_ID: id,
    FLY_ALLOC_ID: id,
    FLY_REGION: region,
    FLY_PRIVATE_IP: expect.stringMatching(/^fdaa:/),
    FLY_PROCESS_GROUP: "web",
    FLY_VM_MEMORY_MB: "256",
    PRIMARY_REGION: "gru",
  });
});

/** Notes the environment of each launch. */
function noting(vmm: Vmm): Vmm {
  return new Proxy(vmm, {
    get(target, name) {
      if (name === "launch") {
        return (...given: Parameters<Vmm["launch"]>) => {
          environment = given[0].workload.env;
          return target.launch(...given);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
