import fc from '../properties.js';
import { describe, expect, it } from 'vitest';
import { parsePythonLiteral, type Literal } from '../../src/config/python_literal.js';

describe('parsePythonLiteral', () => {
  it.each<[string, Literal]>([
    ['(60000, 80000)', [60000, 80000]],
    ['("coco_2017_train",)', ['coco_2017_train']],
    ['(\'a\', "b\\"c")', ['a', 'b"c']],
    ['(1)', 1],
    ['(1,)', [1]],
    ['()', []],
    ['[[1, 2.5], [-3e-2,],]', [[1, 2.5], [-0.03]]],
    ['1_000', 1000],
    ['.5', 0.5],
    [' True ', true],
    ['None', null],
    ['null', null],
  ])('%s', (text, value) => expect(parsePythonLiteral(text)).toEqual(value));

  it.each([
    '',
    'abc',
    '1 2',
    '(1',
    '1)',
    '(,)',
    '[1,,2]',
    '(1 2)',
    '__import__("os")',
    '{"a": 1}',
    "'a",
    '1+1',
    'constructor',
    '('.repeat(1000),
  ])('leaves %j a string', (text) => expect(parsePythonLiteral(text)).toBeUndefined());

  it('reads back what JSON writes, and never throws', () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
      fc.boolean(),
      fc.constant(null),
      fc.stringMatching(/^[a-z0-9 _./:-]*$/),
    );
    fc.assert(
      fc.property(fc.array(fc.array(leaf)), (value) => {
        expect(parsePythonLiteral(JSON.stringify(value))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        parsePythonLiteral(text);
      }),
    );
  });
});
