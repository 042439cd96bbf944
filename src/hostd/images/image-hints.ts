/** Images a scheduler is told of. Of a host with more, the ones used last are the likeliest to be asked for. */
const MAX_HINTS = 4_096;
const SHA256 = /^sha256:([0-9a-f]{8})/;

/**
 * What schedulers are told of the images here: the first four bytes of each sha256, see windhover.scheduler.v1.LocalImages.
 *
 * @param lastUsed when each was used last, by digest, on any scale
 * @returns in an order that depends only on which there are
 */
export function imageHints(lastUsed: ReadonlyMap<string, number>): readonly number[] {
  const latest = [...lastUsed];
  if (latest.length > MAX_HINTS) latest.sort(([, a], [, b]) => b - a).splice(MAX_HINTS);
  const hints = latest.flatMap(([digest]) => {
    const first = SHA256.exec(digest)?.[1];
    return first === undefined ? [] : [Number.parseInt(first, 16)];
  });
  return hints.sort((a, b) => a - b);
}
