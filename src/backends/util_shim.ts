import { createRequire } from 'node:module';

/** The two functions that Node 23 removed and that tfjs-node 4.22 still calls: without them every op fails. */
interface RemovedUtil {
  isNullOrUndefined?: (value: unknown) => boolean;
  isArray?: (value: unknown) => boolean;
}

/**
 * Supplies `util.isNullOrUndefined` and `util.isArray` where they are missing, and touches nothing where they exist.
 * Called just before tfjs-node is loaded, and nowhere else.
 *
 * @param util Node's own `util` object (as `require` gives it) unless a test passes another.
 * @returns the names that were supplied.
 */
export function supplyRemovedUtil(util: RemovedUtil = createRequire(import.meta.url)('node:util') as RemovedUtil): string[] {
  const supplied: string[] = [];
  if (typeof util.isNullOrUndefined !== 'function') {
    util.isNullOrUndefined = (value) => value === null || value === undefined;
    supplied.push('isNullOrUndefined');
  }
  if (typeof util.isArray !== 'function') {
    util.isArray = Array.isArray;
    supplied.push('isArray');
  }
  return supplied;
}
