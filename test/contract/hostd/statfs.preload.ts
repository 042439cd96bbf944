import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

/** Loaded before hostd: replaces the free size of all file systems by the share of their size in the file STATFS_FREE_SHARE_FILE. */
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
