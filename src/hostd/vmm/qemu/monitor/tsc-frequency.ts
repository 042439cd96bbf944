/** Begin of the section of QEMU's saved state that has its clocks: name, instance 0, version 2. */
const SECTION = Buffer.from("\x05timer\0\0\0\0\0\0\0\x02", "latin1");
/** Where the ticks of the guest's time stamp counter follow, and the nanoseconds in which they were counted. */
const TICKS_AT = SECTION.length;
const NANOSECONDS_AT = TICKS_AT + 16;
const SECTION_END = NANOSECONDS_AT + 8;
const PLAUSIBLE_MHZ = { least: 100, most: 20_000 };

/**
 * Reads the frequency in MHz of an emulated guest's time stamp counter out of the state of its VM. Undefined when QEMU does not say.
 * Reads all of it, as QEMU waits for that.
 */
export async function readTscMhz(state: AsyncIterable<Buffer>): Promise<number | undefined> {
  let found: number | undefined;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of state) {
    const window = Buffer.concat([rest, chunk]);
    const at = window.indexOf(SECTION);
    if (at >= 0 && window.length >= at + SECTION_END) found ??= frequency(window.subarray(at));
    rest = window.subarray(-SECTION_END);
  }
  return found;
}

function frequency(section: Buffer): number | undefined {
  const ticks = Number(section.readBigInt64BE(TICKS_AT));
  const mhz = Math.round((ticks * 1_000) / Number(section.readBigInt64BE(NANOSECONDS_AT)));
  return mhz >= PLAUSIBLE_MHZ.least && mhz <= PLAUSIBLE_MHZ.most ? mhz : undefined;
}
