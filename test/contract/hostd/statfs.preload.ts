import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

/** Loaded before hostd: what is free on any file system is what stands in the file that STATFS_FREE_SHARE_FILE names, as a share of its size. */
const file = process.env["STATFS_FREE_SHARE_FILE"] ?? "";

const { readFile, statfs } = promises;

Object.assign(promises, {
  statfs: async (path: string) => {
    const real = await statfs(path);
    const share = Number(await readFile(file, "utf8"));
    return { ...real, bavail: Math.floor(real.blocks * share) };
  },
});
syncBuiltinESMExports();
