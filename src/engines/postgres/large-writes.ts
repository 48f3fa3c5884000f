import { existsSync } from "node:fs";

/** Where GNU's coreutils keep what their `stdbuf` has a program load. */
const LIBRARIES = ["/usr/libexec/coreutils/libstdbuf.so", "/usr/lib/coreutils/libstdbuf.so"];
const BYTES_AT_ONCE = 64 * 1024;

/**
 * What has a program write 64 KiB at a time, as `stdbuf --output=65536` would: pg_dump writes 4 KiB, and each of them costs both sides of the
 * pipe as much as 64. Not `stdbuf` itself, whose failures would not be the program's. Nothing where the system has no such library.
 */
export function largeWrites(environment: NodeJS.ProcessEnv, libraries = LIBRARIES): Readonly<Record<string, string>> {
  const library = libraries.find((file) => existsSync(file));
  if (library === undefined) return {};
  const { LD_PRELOAD: others } = environment;
  return {
    LD_PRELOAD: others ? `${others}:${library}` : library,
    _STDBUF_O: String(BYTES_AT_ONCE),
  };
}
