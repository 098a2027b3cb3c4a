import { ConfigError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { schemaFields } from './merge.js';

/** What is known of one configuration key. */
export interface KeyExplanation {
  key: string;
  type: string;
  default: unknown;
  description: string;
  choices?: readonly string[];
  /** Why setting it has no effect here. */
  ignored?: string;
}

/**
 * Explains a key, or every key of a section (`MODEL.RPN`).
 * @throws ConfigError with the nearest keys where there is none of that name
 */
export function explainKey(key: string): KeyExplanation[] {
  const all = [...schemaFields()];
  const found = all.filter(([name]) => name === key || name.startsWith(`${key}.`));
  if (found.length === 0)
    throw new ConfigError(
      `unknown key ${key}; did you mean ${nearestNames(
        key,
        all.map(([name]) => name),
      ).join(', ')}?`,
    );
  return found.map(([name, { kind, value, description, rules }]) => ({
    key: name,
    type: rules.nullable ? `${kind} or null` : kind,
    default: value,
    description,
    ...(rules.choices && { choices: rules.choices }),
    ...(rules.ignored && { ignored: rules.ignored }),
  }));
}
