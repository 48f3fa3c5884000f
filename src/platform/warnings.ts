const silenced = new Set<string>();

/** Keeps Node from printing warnings of that name: where a library warns of what its error tells, too. */
export function silenceWarnings(name: string): void {
  if (silenced.has(name)) return;
  silenced.add(name);
  for (const print of process.listeners("warning")) {
    process.off("warning", print);
    process.on("warning", (warning) => {
      if (warning.name !== name) print(warning);
    });
  }
}
