import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of this file. The build has another one for CommonJS. */
export const here: string = dirname(fileURLToPath(import.meta.url));
