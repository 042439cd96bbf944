import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** The same bytes every time, so that an unchanged function has an unchanged image. */
const REPRODUCIBLE = [
  ...["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"],
  ...["--mode=u+rw,go-w,a+rX", "--format=gnu", "--dereference", "--exclude-vcs"],
];

/**
 * Packs files and folders into a layer, calls `use` with the archive, and removes it.
 *
 * @param contents paths in the image, and the files or folders that go there
 */
export async function withLayer<T>(
  contents: ReadonlyMap<string, string>,
  maxBytes: number,
  use: (archive: string) => Promise<T>,
): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), "faas-layer-"));
  try {
    const root = join(scratch, "root");
    await mkdir(join(root, "tmp"), { recursive: true });
    for (const [path, source] of contents) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      // `--dereference` stores what the link leads to.
      await symlink(source, join(root, path));
    }
    const archive = join(scratch, "layer.tar");
    await promisify(execFile)("tar", [
      "--create",
      ...REPRODUCIBLE,
      "--file",
      archive,
      "--directory",
      root,
      ".",
    ]);
    const { size } = await stat(archive);
    if (size > maxBytes) throw new Error(`the layer has ${size} bytes; at most ${maxBytes} are taken`);
    return await use(archive);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
