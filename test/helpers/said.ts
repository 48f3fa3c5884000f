/** What was done before is said beside what fails after it. */
export async function said(what: string, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (cause) {
    throw new Error(what, { cause });
  }
}
