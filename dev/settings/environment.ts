/** Variables that child processes inherit. */
const PASSED_ON = [
  ...["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "NODE_COMPILE_CACHE", "LOG_LEVEL"],
];

/** The part of an environment that child processes inherit. */
export function plainEnvironment(from: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return pick(from, (name) => PASSED_ON.includes(name));
}

/** The variables for a service: those that begin with e.g. `HOSTD_`. */
export function settingsOf(prefix: string, from: NodeJS.ProcessEnv): Record<string, string> {
  return pick(from, (name) => name.startsWith(prefix));
}

function pick(from: NodeJS.ProcessEnv, isWanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(
    Object.entries(from).flatMap(([name, value]) =>
      value !== undefined && isWanted(name) ? [[name, value]] : [],
    ),
  );
}
