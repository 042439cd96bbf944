/** What HTTP/2 begins with: RFC 9113 section 3.4. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Whether a connection begins as HTTP/2 does; undefined while that cannot be told. */
export function isHttp2(bytes: Buffer): boolean | undefined {
  const known = Math.min(bytes.length, PREFACE.length);
  if (!bytes.subarray(0, known).equals(PREFACE.subarray(0, known))) return false;
  return known === PREFACE.length ? true : undefined;
}
