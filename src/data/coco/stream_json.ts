import { DatasetError } from '../../errors.js';

/** A piece of a JSON document. */
export interface JsonPiece {
  /** The member of the top-level object; undefined in a top-level array. */
  key: string | undefined;
  /** `array`: one begins; its elements follow as `element`s. `value`: a member that is no array. */
  kind: 'array' | 'element' | 'value';
  /** The parsed element or value; undefined for `array`. */
  value: unknown;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

type State =
  'start' | 'firstKey' | 'key' | 'colon' | 'value' | 'afterValue' | 'firstElement' | 'element' | 'afterElement' | 'end';

/**
 * Reads a JSON document of any length piece by piece: the members of a top-level object, arrays among them element by element, or the
 * elements of a top-level array. Only one piece is in memory as text. The pieces' borders are found here; each is parsed by `JSON.parse`.
 *
 * @param chunks the document's bytes, UTF-8
 * @param name how errors call the document
 * @param take called for every piece in order
 * @throws DatasetError naming the document and the byte, for anything that is not JSON or ends early
 */
export async function streamJson(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  name: string,
  take: (piece: JsonPiece) => void,
): Promise<void> {
  const scanner = new Scanner(name, take);
  for await (const chunk of chunks) scanner.push(chunk);
  scanner.finish();
}

class Scanner {
  private state: State = 'start';
  private key: string | undefined;
  private topLevelArray = false;
  /** Bytes before this chunk. */
  private offset = 0;
  // The piece being scanned: its bytes of earlier chunks, and where its scan stands.
  private parts: Uint8Array[] = [];
  private inPiece = false;
  private depth = 0;
  private inString = false;
  private escaped = false;
  private primitive = false;

  constructor(
    private readonly name: string,
    private readonly take: (piece: JsonPiece) => void,
  ) {}

  push(chunk: Uint8Array): void {
    let i = 0;
    if (this.offset === 0 && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) i = 3;
    while (i < chunk.length) {
      if (this.inPiece) {
        const end = this.endOfPiece(chunk, i);
        if (end < 0) {
          this.parts.push(chunk.slice(i));
          break;
        }
        this.parts.push(chunk.subarray(i, end));
        i = end;
        this.finishPiece(i);
        continue;
      }
      const c = chunk[i]!;
      if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) i++;
      else i = this.step(c, i);
    }
    this.offset += chunk.length;
  }

  finish(): void {
    if (this.state === 'end' && !this.inPiece) return;
    const what = this.offset === 0 ? 'the file is empty' : `it ends early, after ${this.offset} bytes; it may be truncated`;
    throw new DatasetError(`${this.name} is not a JSON file: ${what}.`);
  }

  /** Handles a byte between pieces; returns where to go on. */
  private step(c: number, i: number): number {
    switch (this.state) {
      case 'start':
        if (c === OPEN_BRACE) this.state = 'firstKey';
        else if (c === OPEN_BRACKET) {
          this.topLevelArray = true;
          this.state = 'firstElement';
          this.take({ key: undefined, kind: 'array', value: undefined });
        } else this.fail(i, 'an object or an array was expected');
        return i + 1;
      case 'firstKey':
      case 'key':
        if (c === CLOSE_BRACE && this.state === 'firstKey') {
          this.state = 'end';
          return i + 1;
        }
        if (c !== QUOTE) this.fail(i, 'a name in quotes was expected');
        return this.begin(i);
      case 'colon':
        if (c !== COLON) this.fail(i, `a colon was expected after "${this.key}"`);
        this.state = 'value';
        return i + 1;
      case 'value':
        if (c !== OPEN_BRACKET) return this.begin(i, c);
        this.take({ key: this.key, kind: 'array', value: undefined });
        this.state = 'firstElement';
        return i + 1;
      case 'firstElement':
      case 'element':
        if (c !== CLOSE_BRACKET || this.state === 'element') return this.begin(i, c);
        this.state = this.topLevelArray ? 'end' : 'afterValue';
        return i + 1;
      case 'afterElement':
        if (c === COMMA) this.state = 'element';
        else if (c === CLOSE_BRACKET) this.state = this.topLevelArray ? 'end' : 'afterValue';
        else this.fail(i, `a comma or ] was expected in "${this.key ?? ''}"`);
        return i + 1;
      case 'afterValue':
        if (c === COMMA) this.state = 'key';
        else if (c === CLOSE_BRACE) this.state = 'end';
        else this.fail(i, 'a comma or } was expected');
        return i + 1;
      case 'end':
        return this.fail(i, 'there is something after the end');
    }
  }

  private begin(i: number, c: number = QUOTE): number {
    if (c === COMMA || c === CLOSE_BRACE || c === CLOSE_BRACKET || c === COLON) this.fail(i, 'a value was expected');
    this.inPiece = true;
    this.depth = 0;
    this.inString = false;
    this.escaped = false;
    this.primitive = c !== QUOTE && c !== OPEN_BRACE && c !== OPEN_BRACKET;
    return i;
  }

  /** The position after the piece, or -1 when the chunk ends inside it. */
  private endOfPiece(chunk: Uint8Array, from: number): number {
    let { depth, inString, escaped } = this;
    for (let i = from; i < chunk.length; i++) {
      const c = chunk[i]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (c === BACKSLASH) escaped = true;
        else if (c === QUOTE) {
          inString = false;
          if (depth === 0) return i + 1;
        }
      } else if (c === QUOTE) inString = true;
      else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        if (++depth > 512) this.fail(i, 'it is nested deeper than 512');
      } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
        if (this.primitive) return i;
        if (--depth === 0) return i + 1;
      } else if (this.primitive && (c === COMMA || c <= 0x20)) return i;
    }
    this.depth = depth;
    this.inString = inString;
    this.escaped = escaped;
    return -1;
  }

  private finishPiece(end: number): void {
    const bytes = this.parts.length === 1 ? this.parts[0]! : concatenate(this.parts);
    this.parts = [];
    this.inPiece = false;
    let value: unknown;
    try {
      value = JSON.parse(decoder.decode(bytes));
    } catch (error) {
      throw new DatasetError(
        `${this.name} is not valid JSON at byte ${this.offset + end - bytes.length}${this.key === undefined ? '' : `, in "${this.key}"`}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (this.state === 'firstKey' || this.state === 'key') {
      this.key = value as string;
      this.state = 'colon';
    } else if (this.state === 'value') {
      this.take({ key: this.key, kind: 'value', value });
      this.state = 'afterValue';
    } else {
      this.take({ key: this.key, kind: 'element', value });
      this.state = 'afterElement';
    }
  }

  private fail(i: number, what: string): never {
    throw new DatasetError(`${this.name} is not valid JSON at byte ${this.offset + i}: ${what}.`);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
