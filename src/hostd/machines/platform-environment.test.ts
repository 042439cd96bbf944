import { expect, test } from "vitest";
import { platformEnvironment } from "./platform-environment.ts";

const ID = "00001a2b3c4d5e";
const FACTS = {
  app: "shop",
  region: "ord",
  instanceId: "01KBAAAAAAAAAAAAAAAAAAAAAA",
  imageRef: { registry: "docker.io", repository: "library/nginx", tag: "1.29", digest: "sha256:0" },
  resources: { memoryMb: 512 },
  config: { metadata: { fly_process_group: "web" } },
};

test("a machine is told all that Fly documents", () => {
  expect(platformEnvironment(ID, FACTS)).toEqual({
    FLY_APP_NAME: "shop",
    FLY_MACHINE_ID: ID,
    FLY_ALLOC_ID: ID,
    FLY_REGION: "ord",
    FLY_IMAGE_REF: "docker.io/library/nginx:1.29",
    FLY_MACHINE_VERSION: "01KBAAAAAAAAAAAAAAAAAAAAAA",
    FLY_PRIVATE_IP: "fdaa::a7b:0:1a2:b3c4:d5e2",
    FLY_PUBLIC_IP: "",
    FLY_PROCESS_GROUP: "web",
    FLY_VM_MEMORY_MB: "512",
    PRIMARY_REGION: "ord",
  });
});

test("an image by digest is told by digest, and a machine without a process group is in app", () => {
  const facts = { ...FACTS, imageRef: { ...FACTS.imageRef, tag: "" }, config: { metadata: {} } };

  expect(platformEnvironment(ID, facts)).toMatchObject({
    FLY_IMAGE_REF: "docker.io/library/nginx@sha256:0",
    FLY_PROCESS_GROUP: "app",
  });
});
