/** Whether a host takes machines, on the wire by number. Plain data, so that showing a host does not load all of the generated code. */
const SCHEDULINGS = ["unknown", "open", "cordoned", "draining"] as const;

/** Whether a host takes machines, in a word. One that is newer than this program is called `unknown_<number>`. */
export function schedulingName(scheduling: number): string {
  return SCHEDULINGS[scheduling] ?? `unknown_${scheduling}`;
}

/** Whether it takes nothing because the disk of its state is all but full. */
export function isDiskShort(host: {
  readonly diskFreeMb?: bigint | undefined;
  readonly diskReserveMb?: bigint | undefined;
}): boolean {
  const { diskFreeMb, diskReserveMb } = host;
  return diskFreeMb !== undefined && diskReserveMb !== undefined && diskFreeMb < diskReserveMb;
}

/** Whether an operator keeps machines away from it. */
export function isClosed(scheduling: number): boolean {
  return scheduling > SCHEDULINGS.indexOf("open");
}
