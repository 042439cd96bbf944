/** What an image runs on. Empty fields are unknown. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Of an architecture, such as `v8`. */
  readonly variant: string;
}

/** Names that are shown to users. Others come from whoever wrote the image, and are not. */
const KNOWN = {
  os: /^(?:linux|windows|darwin|freebsd|netbsd|openbsd|solaris|wasi|js|android|aix|plan9)$/,
  architecture:
    /^(?:amd64|386|arm|arm64|ppc64|ppc64le|s390x|riscv64|mips|mipsle|mips64|mips64le|loong64|wasm|sparc64)$/,
  variant: /^v\d{1,2}$/,
} as const;

/**
 * Reads `os`, `architecture` and `variant` and normalises them as containerd does (its package `platforms`): `x86_64` is
 * `amd64`, `aarch64` is `arm64`, and the usual variant has no name. An empty `os` is `linux`.
 */
export function toPlatform(value: Readonly<Record<string, unknown>>): Platform {
  const os = lower(value["os"]);
  const { architecture, variant } = normalise(lower(value["architecture"]), lower(value["variant"]));
  return { os: os === "macos" ? "darwin" : os || "linux", architecture, variant };
}

/** Whether an image for a platform runs on another, in whichever variant. */
export function runsOn(image: Platform, { os, architecture }: Platform): boolean {
  return image.os === os && image.architecture === architecture;
}

/** Formats a platform as `linux/amd64` or `linux/arm/v7`. Names that are no platform's are `unknown`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  const named = [
    KNOWN.os.test(os) ? os : "unknown",
    KNOWN.architecture.test(architecture) ? architecture : "unknown",
    ...(KNOWN.variant.test(variant) ? [variant] : []),
  ];
  return named.join("/");
}

function normalise(architecture: string, variant: string): Omit<Platform, "os"> {
  switch (architecture) {
    case "i386":
      return { architecture: "386", variant: "" };
    case "x86_64":
    case "x86-64":
    case "amd64":
      return { architecture: "amd64", variant: variant === "v1" ? "" : variant };
    case "aarch64":
    case "arm64":
      return { architecture: "arm64", variant: variant === "8" || variant === "v8" ? "" : variant };
    case "armhf":
      return { architecture: "arm", variant: "v7" };
    case "armel":
      return { architecture: "arm", variant: "v6" };
    case "arm":
      return { architecture, variant: variant === "" ? "v7" : variant.replace(/^(?=[5-8]$)/, "v") };
    default:
      return { architecture, variant };
  }
}

function lower(value: unknown): string {
  return typeof value === "string" ? value.toLowerCase() : "";
}
