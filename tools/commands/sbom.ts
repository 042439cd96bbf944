/** `npm run sbom [-- --output FILE]`: a software bill of materials, CycloneDX 1.5. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../lib/main.ts";
import { parseOptions } from "../lib/options.ts";
import { guestFolder, ROOT } from "../lib/paths.ts";
import { run } from "../lib/run.ts";
import { SYSTEM_PACKAGES } from "../setup/packages.ts";
import {
  type Bom,
  debianComponent,
  extendBom,
  kernelComponent,
  parseDistribution,
  parseInstalled,
  readIfPresent,
} from "../supply/sbom.ts";

const USAGE = "npm run sbom [-- --output FILE]";
const FIELDS = ["Package", "Version", "Architecture"].map((field) => `$\{${field}}`).join("\\t");

await main(async (signal) => {
  const { output } = parseOptions(process.argv.slice(2), ["output"], USAGE);
  const args = ["sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"];
  // npm prints a bill of the lockfile; it asks no registry.
  const bom = JSON.parse(await run("npm", args, { cwd: ROOT, signal })) as Bom;
  const { name } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { name: string };
  const installed = parseInstalled(
    await run("dpkg-query", ["-W", `-f=${FIELDS}\\n`], { signal }).catch(() => ""),
  );
  const distribution = parseDistribution(readIfPresent("/etc/os-release") ?? "");
  const whole = extendBom(bom, name, [
    kernelComponent(readIfPresent(join(guestFolder(), "guest.json")), distribution),
    ...SYSTEM_PACKAGES.map((each) => debianComponent(each, installed.get(each.name), distribution)),
  ]);
  const text = `${JSON.stringify(whole, undefined, 2)}\n`;
  if (output === undefined) process.stdout.write(text);
  else writeFileSync(output, text);
});
