import { existsSync, readFileSync } from 'node:fs';
import { ArgumentError } from '../errors.js';

/**
 * Class names as a command line gives them: a COCO annotation file (its categories by ascending id), a JSON list, a text file with a name a
 * line, or the names themselves with commas between.
 * @throws ArgumentError naming the file, or the name that occurs twice
 */
export function parseClassNames(text: string): string[] {
  const names = existsSync(text) ? namesInFile(text) : namesInText(text);
  if (names.length === 0) throw new ArgumentError(`--class-names: ${text} holds no names.`);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new ArgumentError(`--class-names: '${twice}' is there twice; every class needs a name of its own.`);
  return names;
}

function namesInText(text: string): string[] {
  if (/\.(json|txt|names)$/i.test(text)) throw new ArgumentError(`--class-names: there is no file ${text}.`);
  return trimmed(text.split(','));
}

function namesInFile(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  if (!/^\s*[[{]/.test(text)) return trimmed(text.split('\n'));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ArgumentError(`--class-names: ${path} begins like JSON but is not: ${(cause as Error).message}`, { cause });
  }
  if (Array.isArray(json) && json.every((name) => typeof name === 'string')) return json;
  const categories = (json as { categories?: unknown }).categories;
  if (Array.isArray(categories) && categories.every(isCategory))
    return [...categories].sort((a, b) => a.id - b.id).map(({ name }) => name);
  throw new ArgumentError(`--class-names: ${path} is neither a list of names nor a COCO file with categories (id, name).`);
}

function isCategory(value: unknown): value is { id: number; name: string } {
  const { id, name } = (value ?? {}) as { id?: unknown; name?: unknown };
  return typeof id === 'number' && typeof name === 'string';
}

const trimmed = (names: readonly string[]): string[] => names.map((name) => name.trim()).filter((name) => name !== '');
