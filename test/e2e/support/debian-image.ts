import { execFile } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { dataFolder } from "../../../tools/lib/paths.ts";
import { type BuiltImage, buildImage } from "../../support/oci/index.ts";

/** What the archive is made of; part of its name, so that a change makes a new one. */
const RECIPE = "bookworm-nginx-systemd-1";
const BUILD_TIMEOUT_MS = 540_000;

/**
 * Images of a real distribution: Debian with nginx, from Debian's own packages. Made once (a minute or two, needs Debian's mirror) and
 * kept beside the guest's kernel; later runs need no network. `nginx` runs it alone, `systemd` as a service.
 */
export async function debianImages(): Promise<{ nginx: BuiltImage; systemd: BuiltImage }> {
  const folder = join(dataFolder(), "test-images");
  const archive = join(folder, `${RECIPE}.tar`);
  if (!existsSync(archive)) await bootstrap(folder, archive);
  const page = { path: "var/www/html/index.html", content: "nginx in a micro-VM\n" };
  const content = { layers: [{ tarFile: archive }, [page]], compression: ["zstd", "gzip"] } as const;
  const nginx = buildImage({
    ...content,
    config: {
      Cmd: ["nginx", "-g", "daemon off;"],
      Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
      ExposedPorts: { "80/tcp": {} },
      StopSignal: "SIGQUIT",
    },
  });
  // As Docker writes an entrypoint that was taken away.
  const config = {
    Entrypoint: [""],
    Cmd: ["/sbin/init"],
    WorkingDir: "/srv/app",
    Volumes: { "/data/volume": {} },
  };
  const systemd = buildImage({ ...content, config: { ...config, StopSignal: "SIGRTMIN+3" } });
  return { nginx, systemd };
}

async function bootstrap(folder: string, archive: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const unfinished = join(folder, `${RECIPE}.${process.pid}.partial.tar`);
  const without = ["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  try {
    await promisify(execFile)(
      "mmdebstrap",
      [
        "--quiet",
        "--variant=minbase",
        "--include=nginx-light,systemd-sysv",
        ...without,
        "bookworm",
        unfinished,
      ],
      { timeout: BUILD_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 },
    );
    renameSync(unfinished, archive);
  } finally {
    rmSync(unfinished, { force: true });
  }
}
