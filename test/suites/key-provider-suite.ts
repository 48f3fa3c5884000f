import { describe, expect, test } from "vitest";
import type { KeyProvider } from "../../src/keys/key-provider.ts";

export interface KeyProviderSuite {
  readonly name: string;
  /** The provider with its own key; each call as another process would open it. */
  readonly open: () => Promise<KeyProvider>;
  /** The same provider, configured with something that is no key. */
  readonly openUnusable: () => Promise<KeyProvider>;
  /** Strings that must not appear in any error. */
  readonly secrets: readonly string[];
}

/** The contract of src/keys/key-provider.ts. Every provider passes all of it. */
export function keyProviderSuite(suite: KeyProviderSuite): void {
  describe(`${suite.name} is a key provider:`, () => {
    test("seal gives a secret of 32 bytes and parameters that are plain JSON", async () => {
      const provider = await suite.open();

      const { secret, parameters } = await provider.seal();

      expect(secret.length).toBe(32);
      expect(JSON.parse(JSON.stringify(parameters))).toEqual(parameters);
      for (const value of Object.values(parameters)) expect(["string", "number"]).toContain(typeof value);
    });

    test("open gets the same secret back from the parameters alone, in another process", async () => {
      const { secret, parameters } = await (await suite.open()).seal();

      const opened = await (await suite.open()).open(JSON.parse(JSON.stringify(parameters)));

      expect(opened).toEqual(secret);
    });

    test("the parameters do not hold the secret", async () => {
      const { secret, parameters } = await (await suite.open()).seal();

      const text = JSON.stringify(parameters);

      expect(text).not.toContain(secret.toString("hex"));
      expect(text).not.toContain(secret.toString("base64"));
      for (const known of suite.secrets) expect(text).not.toContain(known);
    });

    test("a caller that wipes its secret does not wipe the next one's", async () => {
      const provider = await suite.open();
      const { secret, parameters } = await provider.seal();
      const kept = Buffer.from(secret);

      secret.fill(0);
      (await provider.open(parameters))?.fill(0);

      expect(await provider.open(parameters)).toEqual(kept);
      expect((await provider.open(parameters))?.equals(Buffer.alloc(32))).toBe(false);
    });

    test("a key that is configured but unusable is ENCRYPTION_KEY_NOT_FOUND, with a hint and without the key", async () => {
      const { parameters } = await (await suite.open()).seal();
      const unusable = await suite.openUnusable();

      for (const use of [() => unusable.seal(), () => unusable.open(parameters)]) {
        const error = await use().catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND", exitCode: 12, hint: expect.any(String) });
        for (const known of suite.secrets) expect(String(error)).not.toContain(known);
      }
    });

    test("its type and name are those that go into keys objects", async () => {
      const provider = await suite.open();

      expect(provider.provider).toMatch(/^[a-z][a-z0-9-]*$/);
      expect(provider.name).toBe("main");
    });
  });
}
