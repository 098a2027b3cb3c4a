/** Values that a Python literal can hold here; tuples are arrays. */
export type Literal = null | boolean | number | string | Literal[];

/**
 * Reads a Python literal as Detectron2 does for strings in its YAML and on its command line: `(60000, 80000)`, `[0.5, 1e-3]`, `'x'`, `True`, `None`.
 * Nothing is evaluated. Lower case `true`, `false` and `null` count too, as YAML writes them.
 * @returns undefined where the text is not a literal (it is then a plain string)
 */
export function parsePythonLiteral(text: string): Literal | undefined {
  const reader = new LiteralReader(text);
  const value = reader.read(0);
  return value !== undefined && reader.atEnd() ? value : undefined;
}

const NUMBER = /[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const STRING = /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/y;
const WORDS: Record<string, Literal> = { True: true, true: true, False: false, false: false, None: null, null: null };
const MAX_DEPTH = 16;

class LiteralReader {
  private at = 0;
  constructor(private readonly text: string) {}

  atEnd(): boolean {
    this.skipSpace();
    return this.at === this.text.length;
  }

  read(depth: number): Literal | undefined {
    this.skipSpace();
    const first = this.text[this.at];
    if (first === '(' || first === '[')
      return depth < MAX_DEPTH ? this.readSequence(first === '(' ? ')' : ']', depth) : undefined;
    const quoted = this.match(STRING);
    if (quoted) return (quoted[1] ?? quoted[2]).replace(/\\(.)/g, '$1');
    const number = this.match(NUMBER);
    if (number) return Number(number[0].replaceAll('_', ''));
    const word = this.match(WORD);
    return word && Object.hasOwn(WORDS, word[0]) ? WORDS[word[0]] : undefined;
  }

  private readSequence(close: string, depth: number): Literal | undefined {
    this.at++;
    const items: Literal[] = [];
    let commas = 0;
    for (;;) {
      this.skipSpace();
      if (this.text[this.at] === close) break;
      if (items.length > commas) return undefined;
      const item = this.read(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
      this.skipSpace();
      if (this.text[this.at] === ',') {
        commas++;
        this.at++;
      }
    }
    this.at++;
    // In Python (1) is the number and (1,) the tuple.
    return close === ')' && items.length === 1 && commas === 0 ? items[0] : items;
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  private skipSpace(): void {
    while (this.at < this.text.length && /\s/.test(this.text[this.at])) this.at++;
  }
}
