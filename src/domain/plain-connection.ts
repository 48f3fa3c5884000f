const THIS_HOST = /^(?:(?:.*\.)?localhost|\[::1\]|127(?:\.\d{1,3}){3})$/i;

/** Without TLS everybody on the way reads the login: only this host itself may be called so, unless the config says otherwise. */
export function plainConnectionProblems(
  option: string,
  url: string | undefined,
  insecure: boolean,
): readonly { readonly path: readonly string[]; readonly message: string }[] {
  if (url === undefined || insecure) return [];
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || THIS_HOST.test(hostname)) return [];
  return [{ path: [option], message: "is not encrypted; use https://, or allow it with `insecure: true`" }];
}
