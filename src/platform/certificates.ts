import { X509Certificate } from "node:crypto";
import { readOrdinaryFile } from "./files.ts";

/** A file of certificates (PEM) to trust. TLS would pass over what is none without a word. @throws where it can't be read, or has none */
export async function readCertificates(file: string): Promise<string> {
  const text = (await readOrdinaryFile(file)).toString();
  const certificates = text.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? [];
  if (certificates.length === 0) throw new Error(`${file} has no certificate in PEM format`);
  for (const certificate of certificates) requireCertificate(certificate, file);
  return text;
}

function requireCertificate(text: string, file: string): void {
  try {
    new X509Certificate(text);
  } catch (error) {
    throw new Error(`${file} has a certificate that is damaged`, { cause: error });
  }
}
