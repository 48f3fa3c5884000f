import { setFlagsFromString } from "node:v8";

/**
 * Has this thread's heap stay a third of what V8 would let it become. Under these flags V8 takes no code that was compiled under others, as
 * all is that Node brings: a worker thread that starts now takes twice the processor time to come up.
 */
export function boundHeapGrowth(): void {
  setFlagsFromString("--heap-growing-percent=30");
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** As V8 begins. */
export function unboundHeapGrowth(): void {
  setFlagsFromString("--heap-growing-percent=0");
  setFlagsFromString("--semi-space-growth-factor=2");
}
