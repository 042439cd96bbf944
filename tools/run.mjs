// The entry of every npm script: `node tools/run.mjs NAME [ARGUMENT...]`.
import { enter } from "./entry/enter.mjs";

const [name = ""] = process.argv.splice(2, 1);
await enter(name);
