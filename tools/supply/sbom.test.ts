import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../lib/paths.ts";
import { SYSTEM_PACKAGES } from "../setup/packages.ts";
import { type Bom, debianComponent, kernelComponent, parseDistribution, parseInstalled } from "./sbom.ts";

const DEBIAN = { id: "debian", version: "12" };
const TOOL = { name: "tool", reason: "does it", needs: "run" } as const;

test("npm run sbom lists every locked package, every Debian package and the kernel, once", () => {
  const command = [join(ROOT, "tools/run.mjs"), "tools/commands/sbom.ts"];
  const text = execFileSync(process.execPath, command, { cwd: ROOT, encoding: "utf8" });
  const bom: Bom & { bomFormat: string; specVersion: string } = JSON.parse(text);
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));

  expect(bom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
  expect(bom.metadata.component).toMatchObject({ name: "windhover", type: "application" });
  const refs = bom.components.map((each) => each["bom-ref"]);
  expect(new Set(refs).size).toBe(refs.length);
  const names = bom.components.map(({ name }) => name);
  for (const path of Object.keys(lock.packages).filter((each) => each !== ""))
    expect(names).toContain(path.split("node_modules/").at(-1));
  for (const { name } of SYSTEM_PACKAGES) expect(names).toContain(name);
  expect(names.filter((name) => name.startsWith("linux-image"))).toHaveLength(1);
  const known = new Set([...refs, bom.metadata.component["bom-ref"]]);
  for (const { ref, dependsOn } of bom.dependencies)
    for (const each of [ref, ...dependsOn]) expect(known).toContain(each);
});

test("a Debian package has the version that is installed, and none when it is not", () => {
  const installed = parseInstalled("tool\t1:2.0+deb12u1\tamd64\nremoved\t\tamd64\n");

  expect(debianComponent(TOOL, installed.get("tool"), DEBIAN)).toMatchObject({
    version: "1:2.0+deb12u1",
    purl: "pkg:deb/debian/tool@1%3A2.0%2Bdeb12u1?arch=amd64&distro=debian-12",
    scope: "required",
  });
  expect(installed.has("removed")).toBe(false);
  const absent = debianComponent({ ...TOOL, needs: "test" }, undefined, DEBIAN);
  expect(absent).toMatchObject({ purl: "pkg:deb/debian/tool?distro=debian-12", scope: "optional" });
  expect(absent).not.toHaveProperty("version");
});

test("the kernel is the package that the guest was built from", () => {
  const file = "linux-image-6.1.0-56-cloud-amd64_6.1.192-2_amd64.deb";
  const manifest = JSON.stringify({ kernel: { package: file, sha256: "ab" } });

  expect(kernelComponent(manifest, DEBIAN)).toMatchObject({
    name: "linux-image-6.1.0-56-cloud-amd64",
    version: "6.1.192-2",
    hashes: [{ alg: "SHA-256", content: "ab" }],
  });
  expect(kernelComponent(undefined, DEBIAN)).not.toHaveProperty("version");
});

test("the distribution is read from os-release", () => {
  expect(parseDistribution('PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n')).toEqual(DEBIAN);
});
