import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Makes `NAME.crt` and `NAME.key` in a folder, for host names. Returns the certificate, which signs itself. */
export async function makeCertificate(
  folder: string,
  name: string,
  hostnames: readonly string[],
  days = 2,
): Promise<string> {
  const { stdout: key } = await run("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
  ]);
  const keyFile = join(folder, `${name}.key`);
  await writeFile(keyFile, key);
  const names = hostnames.map((each) => `DNS:${each}`).join(",");
  const { stdout: certificate } = await run("openssl", [
    ...["req", "-x509", "-key", keyFile, "-days", String(days), "-subj", "/CN=test"],
    ...["-addext", `subjectAltName=${names}`],
  ]);
  await writeFile(join(folder, `${name}.crt`), certificate);
  return certificate;
}
