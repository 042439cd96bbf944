import { describe, expect, test } from "vitest";
import type { RunConfig } from "../../../lib/oci/image/config.ts";
import type { Init, MachineConfig } from "../../machines/machine.ts";
import { checkImage } from "./check-image.ts";

const SUBJECT = { reference: "registry.test/x:1", digest: "sha256:1" };
const IMAGE: RunConfig = {
  ...{ entrypoint: [], cmd: ["/serve"], env: ["A=1"], user: "", workingDir: "", exposedPorts: [] },
  ...{ stopSignal: "", labels: {} },
};

function check(image: Partial<RunConfig>, init: Partial<Init> = {}) {
  const config: MachineConfig = {
    ...{ image: "x", guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 }, env: {}, services: [] },
    ...{ stop: { signal: "", timeoutMs: 0 }, metadata: {} },
    init: { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "", ...init },
  };
  return checkImage({ ...IMAGE, ...image }, config, SUBJECT);
}

describe("an image that cannot run is refused by the field that is at fault", () => {
  test.each<[string, Partial<RunConfig>]>([
    ["WorkingDir", { workingDir: "srv/app" }],
    ["WorkingDir", { workingDir: "." }],
    ["WorkingDir", { workingDir: "/a\0" }],
    ["WorkingDir", { workingDir: `/${"x".repeat(5_000)}` }],
    ["Entrypoint", { entrypoint: [], cmd: [] }],
    ["Entrypoint", { entrypoint: [""], cmd: [] }],
    ["Entrypoint", { entrypoint: ["", "x"] }],
    ["Entrypoint", { entrypoint: ["/a\0"] }],
    ["Cmd", { cmd: [""] }],
    ["Cmd", { entrypoint: ["/x"], cmd: ["\0"] }],
    ["Cmd", { cmd: ["x".repeat(131_072)] }],
    ["User", { user: "4294967295" }],
    ["User", { user: "a:b:c" }],
    ["User", { user: ":1" }],
    ["User", { user: "a\nb" }],
    ["Env", { env: ["A=\0"] }],
    ["Env", { env: [`A=${"x".repeat(131_072)}`] }],
    ["Env", { env: Array.from({ length: 3_841 }, (_, i) => `A${i}=`) }],
    ["Entrypoint", { entrypoint: Array.from({ length: 4_097 }, () => "x") }],
    ["Cmd", { cmd: Array.from({ length: 4_097 }, () => "x") }],
    ["Volumes", { volumes: ["/a\0"] }],
    ["Volumes", { volumes: [`/${"x".repeat(5_000)}`] }],
    ["Volumes", { volumes: Array.from({ length: 1_025 }, (_, i) => `/${i}`) }],
  ])("%s of %j", (field, image) => {
    expect(check(image)).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_CONFIG_INVALID",
      facts: { fields: field, reference: "registry.test/x:1" },
      message: expect.stringContaining(field),
    });
  });

  test("all of them at once", () => {
    const fault = check({ workingDir: "x", user: "a:b:c", entrypoint: [""], cmd: [] });

    expect(fault?.facts["fields"]).toBe("Entrypoint,WorkingDir,User");
  });
});

test.each<Partial<RunConfig>>([
  {},
  { entrypoint: [""] },
  { entrypoint: ["/init", ""], cmd: ["", ""] },
  { workingDir: "/", user: "www-data:www-data" },
  { user: "1000:0" },
  { user: "name with space" },
])("%j can run", (image) => {
  expect(check(image)).toBeUndefined();
});

test("what the request overrides is not the image's fault", () => {
  const broken = { entrypoint: ["", "\0"], cmd: [], workingDir: "x", user: "a:b:c" };

  expect(check(broken, { exec: ["/x"], workingDir: "/", user: "0" })).toBeUndefined();
  expect(check({ cmd: [], entrypoint: [""] }, { cmd: ["/x"] })).toBeUndefined();
  expect(check({ cmd: ["\0"] }, { entrypoint: ["/x"] })).toBeUndefined();
});

test("an empty program in the request is the request's fault", () => {
  expect(check({ entrypoint: [""] }, { cmd: ["", "x"] })).toMatchObject({
    code: "INVALID_ARGUMENT",
    violations: [{ field: "config.init.cmd" }],
  });
  expect(check({ entrypoint: ["/x"] }, { cmd: [""] })).toBeUndefined();
});

test("more arguments in the request than the guest takes are the request's fault", () => {
  const many = Array.from({ length: 4_097 }, () => "x");

  for (const field of ["exec", "entrypoint", "cmd"])
    expect(check({}, { [field]: many })).toMatchObject({
      code: "INVALID_ARGUMENT",
      violations: [{ field: `config.init.${field}` }],
    });
});
