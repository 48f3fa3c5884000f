/** A message of an error about a storage, for where that is named just before: without its name. */
export function withoutName(name: string, message: string): string {
  const named = `storage "${name}"`;
  if (message.startsWith(`${named}: `)) return message.slice(named.length + 2);
  return message.startsWith(`${named} `) ? `it${message.slice(named.length)}` : message;
}

/** Whether one of `warnings`, each of which begins with its storage, gave this reason for that one. */
export function isTold(warnings: readonly string[], name: string, reason: string): boolean {
  return warnings.some((told) => told.startsWith(`storage "${name}" `) && told.includes(reason));
}

/** A message that names its storage, whether it did before or not. */
export function withName(name: string, message: string): string {
  const named = `storage "${name}"`;
  return message.includes(named) ? message : `${named}: ${message}`;
}
