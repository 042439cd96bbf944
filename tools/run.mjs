// The entry of every npm script: `node tools/run.mjs FILE [ARGUMENT...]`, FILE relative to the
// project.
import { enter } from "./entry/enter.mjs";

const [file = ""] = process.argv.splice(2, 1);
await enter(file);
