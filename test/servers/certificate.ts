import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificate {
  /** The CA's own certificate: who names it trusts the server. */
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A certificate for localhost, 127.0.0.1 and 127.0.0.2, server.pem and server.key in `dir`, signed by a CA that nobody knows. */
export async function makeCertificate(dir: string): Promise<Certificate> {
  const at = (name: string) => join(dir, name);
  const [caFile, certificateFile, keyFile] = [at("ca.pem"), at("server.pem"), at("server.key")];
  const openssl = (...args: string[]) => run("openssl", args);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = ["-x509", "-days", "2", "-subj", "/CN=backupctl test CA", "-keyout", at("ca.key"), "-out", caFile];
  await openssl("req", ...newKey, ...ca);
  await openssl("req", ...newKey, "-subj", "/CN=localhost", "-keyout", keyFile, "-out", at("server.csr"));
  writeFileSync(at("server.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2\n");
  const signed = ["-in", at("server.csr"), "-CA", caFile, "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2"];
  await openssl("x509", "-req", ...signed, "-extfile", at("server.ext"), "-out", certificateFile);
  return { caFile, certificateFile, keyFile };
}
