/** Most hints that a scheduler gets. A host with more images sends those used last. */
const MAX_HINTS = 4_096;
const SHA256 = /^sha256:([0-9a-f]{8})/;

/** Returns the image hints of a host, sorted: see windhover.scheduler.v1.LocalImages. @param lastUsed by digest */
export function imageHints(lastUsed: ReadonlyMap<string, number>): readonly number[] {
  const latest = [...lastUsed];
  if (latest.length > MAX_HINTS) latest.sort(([, a], [, b]) => b - a).splice(MAX_HINTS);
  const hints = latest.flatMap(([digest]) => {
    const first = SHA256.exec(digest)?.[1];
    return first === undefined ? [] : [Number.parseInt(first, 16)];
  });
  return hints.sort((a, b) => a - b);
}
