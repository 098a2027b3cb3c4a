import { ConfigError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { Field, type Section } from './field.js';
import { parsePythonLiteral } from './python_literal.js';
import { schema, type Config } from './schema.js';

/** A fresh configuration with Detectron2's defaults. */
export function defaultConfig(): Config {
  return defaultsOf(schema) as Config;
}

function defaultsOf(section: Section): unknown {
  return Object.fromEntries(
    Object.entries(section).map(([key, node]) => [key, node instanceof Field ? structuredClone(node.value) : defaultsOf(node)]),
  );
}

/** Every leaf of the schema with its dotted key, in order. */
export function* schemaFields(section: Section = schema, prefix = ''): Generator<[string, Field<unknown>]> {
  for (const [key, node] of Object.entries(section)) {
    if (node instanceof Field) yield [prefix + key, node];
    else yield* schemaFields(node, `${prefix}${key}.`);
  }
}

/**
 * Lays a tree of raw values (from YAML or built in) over a configuration, in place, with every key and type checked.
 * @param where named in errors: the file or "the command line"
 * @param warnings gets a line for each key that is set to something else than its default and has no effect here
 * @throws ConfigError on an unknown key or a wrong type, with the full key
 */
export function mergeInto(config: Config, raw: unknown, where: string, warnings: string[]): void {
  mergeSection(schema, config as unknown as Record<string, unknown>, raw, '', where, warnings);
}

/** Sets one dotted key, checked as in a file. */
export function setKey(config: Config, key: string, value: unknown, where: string, warnings: string[]): void {
  const path = key.split('.');
  mergeInto(
    config,
    path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value),
    where,
    warnings,
  );
}

function mergeSection(
  section: Section,
  target: Record<string, unknown>,
  raw: unknown,
  prefix: string,
  where: string,
  warnings: string[],
): void {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw))
    throw new ConfigError(
      `${where}: ${prefix ? `${prefix.slice(0, -1)} is a section of keys` : 'a configuration is a mapping of keys'}, got ${show(raw)}`,
    );
  for (const [key, value] of Object.entries(raw)) {
    const full = prefix + key;
    const node = Object.hasOwn(section, key) ? section[key] : undefined;
    if (node === undefined)
      throw new ConfigError(`${where}: unknown key ${full}; did you mean ${suggestions(full, prefix, section)}?`);
    if (node instanceof Field) {
      target[key] = checkValue(node, value, full, where);
      if (node.rules.ignored && JSON.stringify(target[key]) !== JSON.stringify(node.value))
        warnings.push(`${where}: ${full} has no effect: ${node.rules.ignored}`);
    } else mergeSection(node, target[key] as Record<string, unknown>, value, `${full}.`, where, warnings);
  }
}

function suggestions(full: string, prefix: string, section: Section): string {
  const siblings = Object.keys(section).map((key) => prefix + key);
  // The same last name elsewhere in the tree is often what was meant (MODEL.NUM_CLASSES).
  const last = full.slice(full.lastIndexOf('.') + 1);
  const elsewhere = [...schemaFields()].map(([key]) => key).filter((key) => key.endsWith(`.${last}`));
  return [...new Set([...elsewhere.slice(0, 2), ...nearestNames(full, siblings, elsewhere.length ? 1 : 3)])].join(', ');
}

/** The checked value of a field; a string is read as a Python literal where the field is no string. */
export function checkValue(field: Field<unknown>, raw: unknown, key: string, where: string): unknown {
  let value = raw;
  if (typeof raw === 'string' && field.kind !== 'string') {
    // The second reading is of a list without its brackets; null is a value, so ?? would not do.
    const literal = [raw, `(${raw})`].map(parsePythonLiteral).find((v) => v !== undefined);
    if (literal !== undefined) value = literal;
  }
  if (value === null && field.rules.nullable) return null;
  if (!CHECKS[field.kind](value))
    throw new ConfigError(
      `${where}: ${key} must be ${NAMES[field.kind]}${field.rules.nullable ? ' or null' : ''}, got ${show(raw)}`,
    );
  const { choices, registered } = field.rules;
  if (choices && !choices.includes(value as string) && !registered?.has(value as string))
    throw new ConfigError(
      `${where}: ${key} is ${show(value)}, which is not known; did you mean ${nearestNames(value as string, choices)
        .map((name) => `"${name}"`)
        .join(', ')}?`,
    );
  return structuredClone(value);
}

const isNumber = (v: unknown): v is number => typeof v === 'number' && !Number.isNaN(v);
const isString = (v: unknown): v is string => typeof v === 'string';
const isBool = (v: unknown): v is boolean => typeof v === 'boolean';
const listOf = (item: (v: unknown) => boolean) => (v: unknown) => Array.isArray(v) && v.every(item);

const CHECKS: Record<Field<unknown>['kind'], (v: unknown) => boolean> = {
  bool: isBool,
  int: Number.isInteger,
  float: isNumber,
  string: isString,
  bools: listOf(isBool),
  ints: listOf(Number.isInteger),
  floats: listOf(isNumber),
  strings: listOf(isString),
  'float lists': listOf(listOf(isNumber)),
  rows: listOf(listOf((v) => isNumber(v) || isString(v))),
};

const NAMES: Record<Field<unknown>['kind'], string> = {
  bool: 'true or false',
  int: 'an integer',
  float: 'a number',
  string: 'a string',
  bools: 'a list of true and false',
  ints: 'a list of integers',
  floats: 'a list of numbers',
  strings: 'a list of strings',
  'float lists': 'a list of lists of numbers',
  rows: 'a list of lists',
};

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
