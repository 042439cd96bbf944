import { SealingKeys } from "../../../src/lib/sealing/sealing-keys.ts";

/** The keys of every host of tests, always the same. */
export const SEALING_KEYS = new SealingKeys([Buffer.alloc(32, 7)]);
