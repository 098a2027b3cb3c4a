import { CheckpointError } from '../errors.js';

/**
 * A name that a pickle may refer to. `call` answers REDUCE and NEWOBJ; a name without it can only be passed on as an argument.
 * `value` is what the bare name stands for where that is not the name itself (torch.float32).
 */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
  readonly call?: (args: unknown[]) => unknown;
}

/** An object that takes its state afterwards (BUILD), as numpy's arrays and types do. */
export interface Buildable {
  build(state: unknown): void;
}

/** A Python 2 `str`: text or raw bytes, which only its user can tell. */
export class ByteString {
  constructor(readonly bytes: Uint8Array) {}
  text(): string {
    return latin1Text(this.bytes);
  }
}

/** A long unicode text that is decoded on request only: under protocol 2 the bytes of arrays come as latin-1 text. */
export class LongText {
  private decoded: Uint8Array | undefined;
  constructor(
    private readonly utf8: Uint8Array,
    /** Where the decoded bytes go; may be the text's own bytes, since latin-1 is never longer than UTF-8. */
    private readonly target?: Uint8Array,
  ) {}

  /** The characters as bytes. @throws CheckpointError for a character above 255. */
  latin1(): Uint8Array {
    this.decoded ??= utf8ToLatin1(this.utf8, this.target ?? new Uint8Array(this.utf8.byteLength));
    return this.decoded;
  }
}

export interface UnpickleOptions {
  /** Names the file in errors. */
  source: string;
  /** The closed list: `module name` to what it stands for. Everything else is refused by name. */
  globals: ReadonlyMap<string, PickleGlobal>;
  /** Answers persistent ids (PyTorch's storages); refused where absent. */
  persistentLoad?: (id: unknown) => unknown;
  /** The bytes belong to the unpickler: it may move array contents by up to three bytes, over headers it has read, so that they can be viewed as float32. */
  ownsBytes?: boolean;
  /** First byte of the pickle. */
  start?: number;
}

export interface Unpickled {
  value: unknown;
  /** First byte after the pickle. */
  end: number;
}

const MAX_MARKS = 1000;
const MAX_STACK = 1_000_000;
const MAX_MEMO = 2_000_000;
const MAX_OBJECTS = 8_000_000;
const MAX_NAME = 1024;
const SHORT_TEXT = 4096;
const MARK = Symbol('mark');

/**
 * Reads one pickle of protocol 2 to 5 without executing anything: names outside the closed list are refused, and depth, memo, stack and object counts are limited.
 * Dicts become Maps, lists and tuples arrays, bytes views of the input. Opcodes as in CPython's `pickletools`.
 * @throws CheckpointError that names the source: truncated, not a pickle, a refused name, a limit.
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): Unpickled {
  const machine = new PickleMachine(bytes, options);
  return machine.run();
}

/** The text of a Python 2 or 3 string of ordinary length; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value instanceof ByteString) return value.bytes.byteLength <= MAX_NAME ? value.text() : undefined;
  return undefined;
}

/** The bytes of `bytes`, `bytearray`, a Python 2 string or a latin-1 text; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ByteString) return value.bytes;
  if (value instanceof LongText) return value.latin1();
  if (typeof value === 'string') return utf8ToLatin1(new TextEncoder().encode(value), new Uint8Array(value.length * 3));
  return undefined;
}

class PickleMachine {
  private readonly view: DataView;
  private position: number;
  private readonly stack: unknown[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, unknown>();
  private objects = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly options: UnpickleOptions,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = options.start ?? 0;
  }

  run(): Unpickled {
    try {
      if (this.bytes[this.position] !== 0x80) throw this.error('it does not start like a pickle of protocol 2 or later');
      for (;;) {
        const opcode = this.byte();
        if (opcode === 0x2e) return { value: this.pop(), end: this.position };
        this.step(opcode);
        if (this.stack.length > MAX_STACK) throw this.error(`more than ${MAX_STACK} values on the stack`);
      }
    } catch (error) {
      if (error instanceof CheckpointError && !error.message.startsWith(this.options.source))
        throw this.error(error.message, error);
      throw error;
    }
  }

  private step(opcode: number): void {
    switch (opcode) {
      case 0x80: {
        const protocol = this.byte();
        if (protocol < 2 || protocol > 5)
          throw this.error(`pickle protocol ${protocol}; protocols 2 to 5 can be read. Save the file again with protocol 2`);
        return;
      }
      case 0x95: // FRAME
        this.length(8);
        return;
      case 0x28: // MARK
        this.marks.push(this.stack.length);
        if (this.marks.length > MAX_MARKS) throw this.error(`nested deeper than ${MAX_MARKS} levels`);
        this.push(MARK);
        return;
      case 0x30: // POP
        this.pop();
        return;
      case 0x31: // POP_MARK
        this.popMark();
        return;
      case 0x32: // DUP
        this.push(this.top());
        return;
      case 0x4e: // NONE
        this.push(null);
        return;
      case 0x88: // NEWTRUE
        this.push(true);
        return;
      case 0x89: // NEWFALSE
        this.push(false);
        return;
      case 0x4b: // BININT1
        this.push(this.byte());
        return;
      case 0x4d: // BININT2
        this.push(this.view.getUint16(this.take(2), true));
        return;
      case 0x4a: // BININT
        this.push(this.view.getInt32(this.take(4), true));
        return;
      case 0x47: // BINFLOAT
        this.push(this.view.getFloat64(this.take(8), false));
        return;
      case 0x8a: // LONG1
        this.push(this.long(this.length(1)));
        return;
      case 0x8b: // LONG4
        this.push(this.long(this.length(4)));
        return;
      case 0x54: // BINSTRING
        this.push(new ByteString(this.payload(4)));
        return;
      case 0x55: // SHORT_BINSTRING
        this.push(new ByteString(this.payload(1)));
        return;
      case 0x42: // BINBYTES
        this.push(this.payload(4));
        return;
      case 0x43: // SHORT_BINBYTES
        this.push(this.payload(1));
        return;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.push(this.payload(8));
        return;
      case 0x58: // BINUNICODE
        this.push(this.text(4));
        return;
      case 0x8c: // SHORT_BINUNICODE
        this.push(this.text(1));
        return;
      case 0x8d: // BINUNICODE8
        this.push(this.text(8));
        return;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        this.push(this.made([]));
        return;
      case 0x7d: // EMPTY_DICT
        this.push(this.made(new Map()));
        return;
      case 0x8f: // EMPTY_SET
        this.push(this.made(new Set()));
        return;
      case 0x6c: // LIST
      case 0x74: // TUPLE
        this.push(this.made(this.popMark()));
        return;
      case 0x91: // FROZENSET
        this.push(this.made(new Set(this.popMark())));
        return;
      case 0x64: {
        // DICT
        const items = this.popMark();
        const dict = this.made(new Map<unknown, unknown>());
        this.setItems(dict, items);
        this.push(dict);
        return;
      }
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.push(this.made(this.popMany(opcode - 0x84)));
        return;
      case 0x61: {
        // APPEND
        const value = this.pop();
        this.list().push(value);
        return;
      }
      case 0x65: {
        // APPENDS
        const values = this.popMark();
        const list = this.list();
        for (const value of values) list.push(value);
        return;
      }
      case 0x73: {
        // SETITEM
        const items = this.popMany(2);
        this.setItems(this.top(), items);
        return;
      }
      case 0x75: {
        // SETITEMS
        const items = this.popMark();
        this.setItems(this.top(), items);
        return;
      }
      case 0x90: {
        // ADDITEMS
        const items = this.popMark();
        const set = this.top();
        if (!(set instanceof Set)) throw this.error('items are added to something that is not a set');
        for (const item of items) set.add(item);
        return;
      }
      case 0x71: // BINPUT
        this.remember(this.byte());
        return;
      case 0x72: // LONG_BINPUT
        this.remember(this.view.getUint32(this.take(4), true));
        return;
      case 0x94: // MEMOIZE
        this.remember(this.memo.size);
        return;
      case 0x68: // BINGET
        this.recall(this.byte());
        return;
      case 0x6a: // LONG_BINGET
        this.recall(this.view.getUint32(this.take(4), true));
        return;
      case 0x63: // GLOBAL
        this.pushGlobal(this.line(), this.line());
        return;
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2).map(textOf);
        if (module === undefined || name === undefined) throw this.error('a name that is not text');
        this.pushGlobal(module, name);
        return;
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callable, args] = this.popMany(2);
        this.call(callable, args);
        return;
      }
      case 0x92: {
        // NEWOBJ_EX
        const [callable, args, named] = this.popMany(3);
        if (!(named instanceof Map) || named.size > 0)
          throw this.error('an object with keyword arguments, which no weight file needs');
        this.call(callable, args);
        return;
      }
      case 0x62: {
        // BUILD
        const state = this.pop();
        const target = this.top();
        // The attributes of a dict (PyTorch's `_metadata`) say nothing about tensors.
        if (target instanceof Map) return;
        if (!isBuildable(target)) throw this.error('a state for an object that takes none');
        target.build(state);
        return;
      }
      case 0x51: {
        // BINPERSID
        const id = this.pop();
        if (!this.options.persistentLoad) throw this.error('a persistent id, which only PyTorch files have');
        this.push(this.options.persistentLoad(id));
        return;
      }
      case 0x97: // NEXT_BUFFER
      case 0x98: // READONLY_BUFFER
        throw this.error('out-of-band buffers (protocol 5): the data is in another file. Save it again with plain pickle.dump');
      case 0x82: // EXT1
      case 0x83: // EXT2
      case 0x84: // EXT4
      case 0x69: // INST
      case 0x6f: // OBJ
        throw this.error(`opcode 0x${opcode.toString(16)}, which could make any object and no weight file needs`);
      default:
        throw this.error(`0x${opcode.toString(16).padStart(2, '0')} is no opcode of pickle protocols 2 to 5`);
    }
  }

  private error(problem: string, cause?: unknown): CheckpointError {
    return new CheckpointError(
      `${this.options.source}: cannot read the pickle at byte ${this.position} of ${this.bytes.byteLength}: ${problem}.`,
      { cause },
    );
  }

  private take(count: number): number {
    const start = this.position;
    if (count > this.bytes.byteLength - start) {
      throw this.error('the file ends in the middle; it is truncated or damaged. Download or copy it again');
    }
    this.position = start + count;
    return start;
  }

  private byte(): number {
    return this.bytes[this.take(1)];
  }

  private length(width: 1 | 4 | 8): number {
    const at = this.take(width);
    if (width === 1) return this.bytes[at];
    if (width === 4) return this.view.getUint32(at, true);
    const long = this.view.getBigUint64(at, true);
    if (long > BigInt(Number.MAX_SAFE_INTEGER)) throw this.error(`a length of ${long} bytes`);
    return Number(long);
  }

  private payload(width: 1 | 4 | 8): Uint8Array {
    const length = this.length(width);
    const start = this.take(length);
    this.made(null);
    const shift = (this.bytes.byteOffset + start) % 4;
    if (width === 1 || shift === 0 || !this.options.ownsBytes) return this.bytes.subarray(start, start + length);
    this.bytes.copyWithin(start - shift, start, start + length);
    return this.bytes.subarray(start - shift, start - shift + length);
  }

  private text(width: 1 | 4 | 8): string | LongText {
    const length = this.length(width);
    const start = this.take(length);
    this.made(null);
    const utf8 = this.bytes.subarray(start, start + length);
    if (length <= SHORT_TEXT) return new TextDecoder().decode(utf8);
    if (!this.options.ownsBytes) return new LongText(utf8);
    const shift = (this.bytes.byteOffset + start) % 4;
    return new LongText(utf8, this.bytes.subarray(start - shift, start + length));
  }

  private long(length: number): number | bigint {
    if (length > 1024) throw this.error(`an integer of ${length} bytes`);
    const start = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[start + i]);
    value = BigInt.asIntN(length * 8, value);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0) throw this.error('the file ends in the middle of a name; it is truncated or damaged. Download or copy it again');
    if (end - this.position > 512) throw this.error('a name of more than 512 bytes');
    const start = this.take(end + 1 - this.position);
    return latin1Text(this.bytes.subarray(start, end));
  }

  private made<T>(value: T): T {
    if (++this.objects > MAX_OBJECTS) throw this.error(`more than ${MAX_OBJECTS} objects`);
    return value;
  }

  private push(value: unknown): void {
    this.stack.push(value);
  }

  private top(): unknown {
    const value = this.stack[this.stack.length - 1];
    if (this.stack.length === 0 || value === MARK) throw this.error('an opcode finds too few values');
    return value;
  }

  private pop(): unknown {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): unknown[] {
    const values = new Array<unknown>(count);
    for (let i = count - 1; i >= 0; i--) values[i] = this.pop();
    return values;
  }

  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw this.error('an opcode finds no mark');
    const values = this.stack.splice(mark);
    values.shift();
    return values;
  }

  private list(): unknown[] {
    const list = this.top();
    if (!Array.isArray(list)) throw this.error('values are appended to something that is not a list');
    return list;
  }

  private setItems(target: unknown, items: unknown[]): void {
    if (!(target instanceof Map)) throw this.error('entries are set in something that is not a dict');
    if (items.length % 2 === 1) throw this.error('a dict has a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      const key = textOf(items[i]) ?? items[i];
      if (key instanceof ByteString || key instanceof LongText) throw this.error('a key of a dict is longer than any name');
      target.set(key, items[i + 1]);
    }
  }

  private remember(index: number): void {
    if (this.memo.size >= MAX_MEMO) throw this.error(`more than ${MAX_MEMO} memo entries`);
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    if (!this.memo.has(index)) throw this.error(`memo entry ${index} was never set`);
    this.push(this.memo.get(index));
  }

  private pushGlobal(module: string, name: string): void {
    const found = this.options.globals.get(`${module} ${name}`);
    if (!found) {
      throw this.error(
        `it wants to use '${module}.${name}', which is not on the closed list of names that weight files need, and nothing else is ever run. ` +
          'If you trust the file, save its tensors again in Python as a plain dict of numpy arrays',
      );
    }
    this.push(found);
  }

  private call(callable: unknown, args: unknown): void {
    if (!isGlobal(callable)) throw this.error('a call of something that is not a name');
    if (!callable.call) throw this.error(`'${callable.name}' is called, which no weight file needs`);
    if (!Array.isArray(args)) throw this.error(`'${callable.name}' is called without a tuple of arguments`);
    // A call may copy its arguments, and the memo can hand the same long one to many calls.
    for (const arg of args) this.objects += copyCost(arg);
    this.push(this.made(callable.call(args)));
  }
}

function isGlobal(value: unknown): value is PickleGlobal {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'global';
}

function copyCost(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map || value instanceof Set) return value.size;
  return typeof value === 'string' ? value.length >> 4 : 0;
}

function isBuildable(value: unknown): value is Buildable {
  return typeof value === 'object' && value !== null && typeof (value as { build?: unknown }).build === 'function';
}

function latin1Text(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
}

/** Writes the characters of a UTF-8 text as latin-1 bytes; `target` may be the text's own bytes, because the writer never overtakes the reader. */
function utf8ToLatin1(utf8: Uint8Array, target: Uint8Array): Uint8Array {
  let written = 0;
  for (let i = 0; i < utf8.length; i++) {
    const lead = utf8[i];
    if (lead < 0x80) target[written++] = lead;
    else if ((lead === 0xc2 || lead === 0xc3) && i + 1 < utf8.length)
      target[written++] = ((lead & 0x03) << 6) | (utf8[++i] & 0x3f);
    else throw new CheckpointError('a text that should hold the bytes of an array has characters above 255');
  }
  return target.subarray(0, written);
}
