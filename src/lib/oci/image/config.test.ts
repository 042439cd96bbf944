import { expect, test } from "vitest";
import { parseDigest } from "../digest.ts";
import { parseConfig } from "./config.ts";

const digest = parseDigest(`sha256:${"ab".repeat(32)}`) ?? expect.fail("no digest");
const MANIFEST = { config: { mediaType: "", digest, size: 1 }, layers: [] };

const parse = (config: unknown) => {
  const document = { architecture: "amd64", os: "linux", rootfs: { diff_ids: [] }, config };
  return parseConfig(Buffer.from(JSON.stringify(document)), MANIFEST, { reference: "r/x" }).run;
};

test.each<[string, unknown]>([
  ["config", []],
  ["config", "serve"],
  ["Entrypoint", { Entrypoint: ["/serve", 1] }],
  ["Entrypoint", { Entrypoint: { 0: "/serve" } }],
  ["Cmd", { Cmd: ["/serve", null] }],
  ["Env", { Env: { A: "1" } }],
  ["Env", { Env: "A=1" }],
  ["User", { User: 1000 }],
  ["WorkingDir", { WorkingDir: ["/srv"] }],
  ["ExposedPorts", { ExposedPorts: ["80/tcp"] }],
  ["StopSignal", { StopSignal: ["TERM"] }],
  ["StopSignal", { StopSignal: "SIGNOPE" }],
  ["Volumes", { Volumes: ["/data"] }],
  ["Volumes", { Volumes: "/data" }],
  ["Labels", { Labels: { a: 1 } }],
  ["Env,User,StopSignal", { User: 0, Env: [1], StopSignal: 99 }],
])("a field of the wrong type is refused, and not left out: %s of %j", (fields, config) => {
  expect(() => parse(config)).toThrow(
    expect.objectContaining({
      ...{ code: "FAILED_PRECONDITION", reason: "IMAGE_CONFIG_INVALID" },
      facts: expect.objectContaining({ fields }),
    }),
  );
});

test("a command in one string is one word, as in Docker", () => {
  expect(parse({ Entrypoint: "/my serve", Cmd: "-v" })).toMatchObject({
    entrypoint: ["/my serve"],
    cmd: ["-v"],
  });
});

test.each([
  undefined,
  null,
  {},
  { Entrypoint: null, Cmd: null, Env: null, User: null, Volumes: null, Labels: null },
])("a configuration without fields is one with empty ones: %j", (config) => {
  expect(parse(config)).toEqual({
    ...{ entrypoint: [], cmd: [], env: [], user: "", workingDir: "", exposedPorts: [], stopSignal: "" },
    ...{ volumes: [], labels: {} },
  });
});

test("names that mean something to objects are kept", () => {
  const { volumes, labels } = parse(JSON.parse('{"Volumes":{"__proto__":{}},"Labels":{"__proto__":"x"}}'));

  expect([volumes, Object.entries(labels)]).toEqual([["__proto__"], [["__proto__", "x"]]]);
});
