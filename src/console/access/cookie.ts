/** The name with which browsers take a cookie only from this very host, over TLS. */
function nameOf(isSecure: boolean): string {
  return isSecure ? "__Host-windhover-console" : "windhover-console";
}

/** Makes the header that sets the session, or with an empty one removes it. */
export function sessionCookie(session: string, lifeMs: number, isSecure: boolean): string {
  const seconds = Math.max(0, Math.floor(lifeMs / 1_000));
  const secure = isSecure ? "; Secure" : "";
  return `${nameOf(isSecure)}=${session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

/** Reads the session from the header of a request. */
export function sessionOf(header: string | undefined, isSecure: boolean): string | undefined {
  for (const pair of header?.split(";") ?? []) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === nameOf(isSecure))
      return pair.slice(at + 1).trim() || undefined;
  }
  return undefined;
}
