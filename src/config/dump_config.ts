import { Field, type Section } from './field.js';
import { schema, type Config } from './schema.js';

/** The whole configuration as YAML that Detectron2 and loadConfigFile read back to the same values; keys that only we have are written where they are set. */
export function dumpConfig(config: Config): string {
  return dumpSection(schema, config as unknown as Record<string, unknown>, '');
}

function dumpSection(section: Section, values: Record<string, unknown>, indent: string): string {
  // Sorted as Detectron2 dumps, so that the two can be compared line by line.
  return Object.keys(section)
    .sort()
    .filter((key) => !isOwnDefault(section[key], values[key]))
    .map((key) => {
      const node = section[key];
      if (node instanceof Field) return `${indent}${key}: ${dumpValue(values[key], node.kind.startsWith('float'))}\n`;
      return `${indent}${key}:\n${dumpSection(node, values[key] as Record<string, unknown>, `${indent}  `)}`;
    })
    .join('');
}

function dumpValue(value: unknown, float: boolean): string {
  if (Array.isArray(value)) return `[${value.map((item) => dumpValue(item, float)).join(', ')}]`;
  if (typeof value === 'number') return dumpNumber(value, float);
  // JSON strings are YAML strings.
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function dumpNumber(value: number, float: boolean): string {
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf';
  const text = String(value);
  if (!float || text.includes('.')) return text;
  // Detectron2 takes 1 for an integer and refuses it where a float belongs, and PyYAML takes 1e-7 for a string.
  return text.includes('e') ? text.replace('e', '.0e') : `${text}.0`;
}

/** Whether there is nothing to write: keys that only we have, all at their defaults. */
function isOwnDefault(node: Section | Field<unknown>, value: unknown): boolean {
  if (node instanceof Field) return node.rules.own === true && JSON.stringify(value) === JSON.stringify(node.value);
  return Object.entries(node).every(([key, child]) => isOwnDefault(child, (value as Record<string, unknown>)[key]));
}
