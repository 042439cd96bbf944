import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Fault } from "../faults/fault.ts";
import { formatReference, isLoopback, parseReference } from "./reference.ts";

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

describe("a reference is completed as everywhere", () => {
  test.each([
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.27", "docker.io/library/nginx:1.27"],
    ["grafana/grafana", "docker.io/grafana/grafana:latest"],
    ["docker.io/nginx", "docker.io/library/nginx:latest"],
    ["index.docker.io/library/nginx", "docker.io/library/nginx:latest"],
    ["127.0.0.1:5000/x:tag", "127.0.0.1:5000/x:tag"],
    ["localhost/x", "localhost/x:latest"],
    ["localhost:5000/a/b/c", "localhost:5000/a/b/c:latest"],
    ["[::1]:5000/x", "[::1]:5000/x:latest"],
    ["ghcr.io/o/x", "ghcr.io/o/x:latest"],
    ["Host/x", "Host/x:latest"],
    [`ghcr.io/o/x@${DIGEST}`, `ghcr.io/o/x@${DIGEST}`],
    [`x:tag@${DIGEST}`, `docker.io/library/x:tag@${DIGEST}`],
    ["a__b/c-d.e_f--g:V1.0-x_y", "docker.io/a__b/c-d.e_f--g:V1.0-x_y"],
  ])("%s is %s", (text, full) => {
    expect(formatReference(parseReference(text))).toBe(full);
  });

  test("and stays the same when parsed again", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
    const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/);
    fc.assert(
      fc.property(part, part, tag, (a, b, t) => {
        const full = formatReference(parseReference(`registry.example:5000/${a}/${b}:${t}`));
        expect(formatReference(parseReference(full))).toBe(full);
      }),
    );
  });
});

describe("what cannot be meant is refused, with everything that is wrong with it", () => {
  test.each([
    ["", ["it is empty"]],
    ["https://ghcr.io/o/x", ["leave out https://"]],
    ["ngi nx", ["white space"]],
    ["Nginx", ['"Nginx" must be lower case']],
    ["ghcr.io/O/x", ['"O" must be lower case']],
    ["a//b", ["part of the repository's name is empty"]],
    ["nginx/", ["part of the repository's name is empty"]],
    ["ghcr.io/", ["part of the repository's name is empty"]],
    ["-x", ['"-x" must be']],
    ["x:", ['the tag ""']],
    ["x:-bad", ['the tag "-bad"']],
    [`x:${"t".repeat(129)}`, ["the tag"]],
    ["x@sha256:12", ["the digest"]],
    [`x@sha512:${"0".repeat(128)}`, ["the digest"]],
    ["127.0.0.1:99999/x", ["the port 99999"]],
    ["-bad.host/x", ['the registry "-bad.host"']],
    ["1.2.3.256/x", ['the registry "1.2.3.256"']],
    ["127.999.1.1:5000/x", ['the registry "127.999.1.1:5000"']],
    ["registry.123/x", ['the registry "registry.123"']],
    ["[1:2]:5000/x", ['the registry "[1:2]:5000"']],
    [`ghcr.io/${"x".repeat(260)}`, ["longer than 255"]],
    ["ghcr.io/O/x:-bad@md5:1", ["lower case", "the tag", "the digest"]],
  ])("%s", (text, problems) => {
    let fault: Fault | undefined;
    try {
      parseReference(text, "config.image");
    } catch (err) {
      fault = err as Fault;
    }

    expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "IMAGE_REFERENCE_INVALID" });
    expect(fault?.violations).toHaveLength(problems.length);
    for (const [index, problem] of problems.entries()) {
      expect(fault?.violations[index]).toMatchObject({
        field: "config.image",
        description: expect.stringContaining(problem),
      });
      expect(fault?.message).toContain(problem);
    }
  });

  test("and nothing else is ever thrown", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."aA0.:/@-_ é[]") }), (text) => {
        try {
          parseReference(text);
        } catch (err) {
          expect(err).toMatchObject({ reason: "IMAGE_REFERENCE_INVALID" });
        }
      }),
    );
  });
});

test.each([
  ["localhost", true],
  ["localhost:5000", true],
  ["127.0.0.1:5000", true],
  ["127.1.2.3", true],
  ["[::1]:5000", true],
  ["127.0.0.1.example.com", false],
  ["localhost.example.com:80", false],
  ["10.0.0.1:5000", false],
])("%s is on loopback: %s", (registry, expected) => {
  expect(isLoopback(registry)).toBe(expected);
});
