/** The subset in use: the compiler knows WebAssembly only with a browser's types. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module);
    /** Of the one module there is, in gear-scanner.ts. */
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly hash: { value: number };
      readonly find: (start: number, end: number, mask: number) => number;
    };
  }
}
