import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { SystemPackage } from "../setup/packages.ts";

/** A component of CycloneDX 1.5: the fields that we write. */
export interface Component {
  readonly "bom-ref": string;
  readonly type: string;
  readonly name: string;
  readonly version?: string;
  readonly scope?: "required" | "optional";
  readonly description?: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** A bill of materials, as npm makes it of the lockfile. */
export interface Bom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** A Debian package that is installed. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

/** The Debian that packages come from. */
export interface Distribution {
  /** `debian`. */
  readonly id: string;
  /** `12`. */
  readonly version: string;
}

/** Adds to npm's bill what does not come from npm, as dependencies of the project itself. */
export function extendBom(bom: Bom, project: string, others: readonly Component[]): Bom {
  const { component } = bom.metadata;
  const refs = others.map((each) => each["bom-ref"]);
  return {
    ...bom,
    // npm takes the folder's name.
    metadata: { ...bom.metadata, component: { ...component, name: project } },
    components: [...bom.components, ...others],
    dependencies: [
      ...bom.dependencies.map((each) =>
        each.ref === component["bom-ref"] ? { ...each, dependsOn: [...each.dependsOn, ...refs] } : each,
      ),
      ...refs.map((ref) => ({ ref, dependsOn: [] })),
    ],
  };
}

/** Makes the component of a Debian package that set-up installs. Without a version when it is not here. */
export function debianComponent(
  { name, reason, needs }: Pick<SystemPackage, "name" | "reason" | "needs">,
  installed: InstalledPackage | undefined,
  distribution: Distribution,
): Component {
  return {
    type: "application",
    name,
    scope: needs === "run" ? "required" : "optional",
    description: reason,
    properties: [{ name: "windhover:installed", value: String(installed !== undefined) }],
    ...debianIdentity(name, distribution, installed),
  };
}

/**
 * Makes the component of the guest's kernel, which is in a Debian package that is unpacked and not
 * installed.
 *
 * @param manifest the guest's `guest.json`; undefined before the guest is built
 */
export function kernelComponent(manifest: string | undefined, distribution: Distribution): Component {
  const { package: file = "", sha256 } = manifest === undefined ? {} : kernelOf(manifest);
  // NAME_VERSION_ARCHITECTURE.deb; apt escapes the colon of an epoch.
  const [, name, version = "", architecture = ""] =
    /^([^_]+)_([^_]+)_([^_]+)\.deb$/.exec(basename(file)) ?? [];
  return {
    type: "operating-system",
    scope: "required",
    description: "kernel of the machines; the hash is its vmlinux's",
    ...(sha256 === undefined ? {} : { hashes: [{ alg: "SHA-256", content: sha256 }] }),
    ...(name === undefined
      ? {
          name: "linux-image-cloud-amd64",
          ...debianIdentity("linux-image-cloud-amd64", distribution, undefined),
        }
      : {
          name,
          ...debianIdentity(name, distribution, {
            name,
            version: decodeURIComponent(version),
            architecture,
          }),
        }),
  };
}

/** Parses what `dpkg-query -W -f='${Package}\t${Version}\t${Architecture}\n'` prints. */
export function parseInstalled(text: string): Map<string, InstalledPackage> {
  const packages = text.split("\n").flatMap((line) => {
    const [name = "", version = "", architecture = ""] = line.split("\t");
    return version === "" ? [] : [{ name, version, architecture }];
  });
  return new Map(packages.map((each) => [each.name, each]));
}

/** Reads which distribution this is from `/etc/os-release`. */
export function parseDistribution(text: string): Distribution {
  const field = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1]?.replaceAll('"', "") ?? "";
  return { id: field("ID") || "debian", version: field("VERSION_ID") };
}

/** Reads a file that may not be there. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function kernelOf(manifest: string): { readonly package?: string; readonly sha256?: string } {
  // The guest's build writes it.
  const { kernel } = JSON.parse(manifest) as { kernel?: { package?: string; sha256?: string } };
  return kernel ?? {};
}

function debianIdentity(
  name: string,
  { id, version }: Distribution,
  installed: InstalledPackage | undefined,
) {
  const distro = version === "" ? id : `${id}-${version}`;
  const at = installed === undefined ? "" : `@${encodeURIComponent(installed.version)}`;
  const arch = installed === undefined ? "" : `arch=${installed.architecture}&`;
  const purl = `pkg:deb/${id}/${encodeURIComponent(name)}${at}?${arch}distro=${distro}`;
  return { "bom-ref": purl, purl, ...(installed === undefined ? {} : { version: installed.version }) };
}
