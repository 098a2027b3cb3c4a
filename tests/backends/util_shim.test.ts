import { describe, expect, it } from 'vitest';
import { supplyRemovedUtil } from '../../src/backends/util_shim.js';

describe('supplyRemovedUtil', () => {
  it('supplies what Node 23 removed', () => {
    const util: Parameters<typeof supplyRemovedUtil>[0] = {};
    expect(supplyRemovedUtil(util)).toEqual(['isNullOrUndefined', 'isArray']);
    expect([null, undefined, 0, '', NaN].map((v) => util!.isNullOrUndefined!(v))).toEqual([true, true, false, false, false]);
    expect(util!.isArray!([])).toBe(true);
    expect(util!.isArray!({ length: 0 })).toBe(false);
  });

  it('leaves present functions alone', () => {
    const isArray = () => false;
    const isNullOrUndefined = () => true;
    const util = { isArray, isNullOrUndefined };
    expect(supplyRemovedUtil(util)).toEqual([]);
    expect(util).toEqual({ isArray, isNullOrUndefined });
  });
});
