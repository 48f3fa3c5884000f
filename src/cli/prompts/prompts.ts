/** Questions to the operator. Only asked where `Context.interactive` holds; an interrupted question throws `INTERRUPTED`. */
export interface Prompts {
  /** A yes or no; Enter alone is no. */
  confirm(question: string): Promise<boolean>;
  /** True when the operator typed exactly `expected`. */
  typeToConfirm(question: string, expected: string): Promise<boolean>;
}
