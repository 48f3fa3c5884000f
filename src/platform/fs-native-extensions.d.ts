/** The subset in use; the package brings no types. */
declare module "fs-native-extensions" {
  export interface LockMode {
    readonly shared?: boolean;
  }
  /** Takes an advisory lock on the whole file; false if another descriptor holds one. */
  export function tryLock(fd: number, mode?: LockMode): boolean;
  export function unlock(fd: number): void;
}
