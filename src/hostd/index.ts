/** What benchmarks use of hostd: simulated hosts, and the kernel of the guest. */
export { Ledger } from "./capacity/ledger.ts";
export { type Attachment, attachToSchedulers } from "./scheduler-link/attach-client.ts";
export { readManifest } from "./vmm/qemu/process/guest-assets.ts";
