import { describe, expect, test } from "vitest";
import type { InitConfig } from "../../machines/machine-config.ts";
import type { ImageConfig } from "../../machines/version.ts";
import { imageCommand } from "./image-command.ts";

const IMAGE: ImageConfig = {
  entrypoint: ["/entry"],
  cmd: ["serve"],
  env: ["A=image", "B=image"],
  user: "app",
  workingDir: "/srv",
  stopSignal: "",
};
const NONE: InitConfig = { exec: [], entrypoint: [], cmd: [], user: "", workingDir: "" };

describe("argv, as the OCI tools make it", () => {
  test.each<[string, Partial<InitConfig>, Partial<ImageConfig>, string[]]>([
    ["the image's entrypoint and cmd", {}, {}, ["/entry", "serve"]],
    ["the image's cmd alone", {}, { entrypoint: [] }, ["serve"]],
    ["an own cmd replaces the image's", { cmd: ["other", "x"] }, {}, ["/entry", "other", "x"]],
    ["an own entrypoint drops the image's cmd", { entrypoint: ["/own"] }, {}, ["/own"]],
    ["both own", { entrypoint: ["/own"], cmd: ["x"] }, {}, ["/own", "x"]],
    ["exec stands for itself", { exec: ["/bin/sh"], entrypoint: ["/own"], cmd: ["x"] }, {}, ["/bin/sh"]],
  ])("%s", (_, init, image, argv) => {
    expect(imageCommand({ ...IMAGE, ...image }, { ...NONE, ...init }, {}).argv).toEqual(argv);
  });

  test("an entrypoint of one empty word is none", () => {
    const image = { ...IMAGE, entrypoint: [""] };
    expect(imageCommand(image, NONE, {}).argv).toEqual(IMAGE.cmd);
    expect(imageCommand(image, { ...NONE, cmd: ["other"] }, {}).argv).toEqual(["other"]);
    expect(imageCommand(IMAGE, { ...NONE, entrypoint: [""], cmd: ["sh"] }, {}).argv).toEqual(["sh"]);
    expect(imageCommand({ ...IMAGE, entrypoint: ["", "x"] }, { ...NONE, exec: ["sh"] }, {}).argv).toEqual([
      "sh",
    ]);
  });

  test.each([[["", "x"]], [[""]]])("a command that begins with an empty word (%j) is EXEC_FAILED", (cmd) => {
    expect(() => imageCommand({ ...IMAGE, entrypoint: [], cmd }, NONE, {})).toThrow(
      /first word of the command is empty/,
    );
  });

  test("without a command it is EXEC_FAILED", () => {
    expect(() => imageCommand({ ...IMAGE, entrypoint: [], cmd: [] }, NONE, {})).toThrow(
      expect.objectContaining({ reason: "EXEC_FAILED", facts: { path: "", why: "no_command" } }),
    );
  });
});

test("the request's environment wins over the image's, which wins over the default PATH", () => {
  const env = { ...IMAGE, env: ["A=image", "A=later", "PATH=/only", "broken", "=nameless", "C=x=y"] };

  expect(imageCommand(env, NONE, { A: "request" }).env).toEqual({ A: "request", PATH: "/only", C: "x=y" });
  expect(imageCommand({ ...IMAGE, env: [] }, NONE, {}).env["PATH"]).toContain("/usr/bin");
});

test("a variable may have any name", () => {
  const { env } = imageCommand({ ...IMAGE, env: ["__proto__=x", "constructor=y"] }, NONE, {});
  expect(Object.entries(env)).toEqual(
    expect.arrayContaining([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]),
  );
});

test("relative paths of an image are meant from the root", () => {
  const image = { ...IMAGE, workingDir: "srv/./app", volumes: ["data", "/cache", "../up"] };
  expect(imageCommand(image, NONE, {})).toMatchObject({
    workingDir: "/srv/app",
    volumes: ["/data", "/cache", "/up"],
  });
});

test("user and working directory are the request's, else the image's, else root and /", () => {
  expect(imageCommand(IMAGE, { ...NONE, user: "0:0", workingDir: "/x" }, {})).toMatchObject({
    user: "0:0",
    workingDir: "/x",
  });
  expect(imageCommand(IMAGE, NONE, {})).toMatchObject({ user: "app", workingDir: "/srv" });
  expect(imageCommand({ ...IMAGE, user: "", workingDir: "" }, NONE, {})).toMatchObject({
    user: "",
    workingDir: "/",
  });
});
