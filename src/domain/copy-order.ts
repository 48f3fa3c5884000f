/** A configured storage, as far as the choice of a copy asks. */
interface PlaceOfCopies {
  readonly name: string;
  /** Nothing comes over a network. */
  readonly local: boolean;
}

/** Of one of which nothing is known it may be whole. */
const STATES: readonly (string | undefined)[] = ["complete", undefined, "damaged", "pending", "missing"];

/**
 * The storages to read a backup from, best first: those on this host, then in the order of the configuration; last those whose copy is
 * known not to be whole, which may still have what others lack.
 */
export function orderOfCopies(
  storages: readonly PlaceOfCopies[],
  copies: readonly { readonly storage: string; readonly state: string }[],
): readonly string[] {
  const rankOf = ({ name, local }: PlaceOfCopies): number => {
    const state = copies.find(({ storage }) => storage === name)?.state;
    return 2 * STATES.indexOf(state) + (local ? 0 : 1);
  };
  return [...storages].sort((left, right) => rankOf(left) - rankOf(right)).map(({ name }) => name);
}
