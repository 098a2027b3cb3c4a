import { parseDocument, type ScalarTag, type CollectionTag, YAMLSeq, isSeq } from 'yaml';
import { ConfigError } from '../errors.js';

// Detectron2's RetinaNet base holds one Python expression; it is known by its text, nothing is evaluated.
const RETINANET_SIZES_EXPRESSION = '[[x,x*2**(1.0/3),x*2**(2.0/3)]forxin[32,64,128,256,512]]';

/** Three anchor sizes an octave for the levels p3 to p7: the value of the one expression in Detectron2's published files. */
export const RETINANET_ANCHOR_SIZES = [32, 64, 128, 256, 512].map((x) => [x, x * 2 ** (1 / 3), x * 2 ** (2 / 3)]);

const pythonTuple: CollectionTag = {
  tag: 'tag:yaml.org,2002:python/tuple',
  collection: 'seq',
  nodeClass: YAMLSeq,
  identify: () => false,
  default: false,
};

const pythonEval: CollectionTag = {
  tag: 'tag:yaml.org,2002:python/object/apply:eval',
  collection: 'seq',
  identify: () => false,
  default: false,
  resolve(node, onError) {
    const expression = isSeq(node) && node.items.length === 1 ? String((node.items[0] as { value?: unknown }).value) : '';
    if (expression.replaceAll(/\s/g, '') !== RETINANET_SIZES_EXPRESSION) {
      onError('Python expressions are not evaluated; write the value itself');
      return node;
    }
    const sizes = new YAMLSeq();
    for (const level of RETINANET_ANCHOR_SIZES) sizes.add(level);
    return sizes;
  },
};

const pythonNone: ScalarTag = {
  tag: 'tag:yaml.org,2002:python/none',
  resolve: () => null,
  identify: () => false,
  default: false,
};

/**
 * Reads YAML as PyYAML does (1.1), with its tuples; runs no code.
 * @param where the file, named in errors
 * @throws ConfigError with line and column where the text is not such YAML
 */
export function readYaml(text: string, where: string): unknown {
  const document = parseDocument(text, {
    version: '1.1',
    customTags: (tags) => [...tags, pythonTuple, pythonEval, pythonNone],
    prettyErrors: true,
    uniqueKeys: true,
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) throw new ConfigError(`${where}: not a configuration in YAML: ${problem.message.trim()}`, { cause: problem });
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (cause) {
    throw new ConfigError(`${where}: not a configuration in YAML: ${(cause as Error).message}`, { cause });
  }
}
