/**
 * Stands in for a hostd that will be killed: launches one VM, appends its lines to a file, prints
 * "launched" and waits. Arguments: data directory, image, VM id, file, program and its arguments.
 */
import { appendFileSync } from "node:fs";
import { openVmm, plainWorkload } from "./fixture.ts";

const [dir = "", image = "", vmId = "", file = "", ...argv] = process.argv.slice(2);
const vmm = await openVmm(dir);
const sink = {
  onLog: ({ number, stream, text }: { number?: number; stream: string; text: string }) =>
    appendFileSync(file, `${number} ${stream} ${text}\n`),
};
const shape = { cpus: 1, memoryMb: 256 };
const workload = plainWorkload(image, argv);
await vmm.launch({ vmId, shape, workload, sink }, new AbortController().signal);
process.stdout.write("launched\n");
setInterval(() => {}, 60_000);
