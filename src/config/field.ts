/** What values a configuration key takes. A list may hold a Python tuple in YAML; it is an array here. */
export type ValueKind = 'bool' | 'int' | 'float' | 'string' | 'bools' | 'ints' | 'floats' | 'strings' | 'float lists' | 'rows';

/** One leaf of the configuration: its default, its type and one line that explains it. */
export class Field<T> {
  constructor(
    /** The type that values are checked against. */
    readonly kind: ValueKind,
    /** Detectron2's default. */
    readonly value: T,
    /** One line: what it does, and its unit. */
    readonly description: string,
    /** Further rules. */
    readonly rules: FieldRules = {},
  ) {}
}

/** Rules beyond the type. */
export interface FieldRules {
  /** The only strings allowed. */
  readonly choices?: readonly string[];
  /** Names that are allowed besides: parts that someone registered. */
  readonly registered?: { has(name: string): boolean };
  /** Whether null is a value. */
  readonly nullable?: boolean;
  /** Why setting this key changes nothing here; such keys are reported, never silently dropped. */
  readonly ignored?: string;
  /** Whether the key is ours alone: written only where it differs from its default, so that Detectron2 reads the rest. */
  readonly own?: boolean;
}

/** A node of the schema: sections hold sections and fields. */
export interface Section {
  readonly [key: string]: Section | Field<unknown>;
}

/** The plain value tree that a schema describes. */
export type ValuesOf<S> = { [K in keyof S]: S[K] extends Field<infer T> ? T : ValuesOf<S[K]> };

/** The same tree with every key optional. */
export type Partially<T> = { [K in keyof T]?: T[K] extends unknown[] ? T[K] : T[K] extends object ? Partially<T[K]> : T[K] };

export const bool = (value: boolean, description: string, rules?: FieldRules) =>
  new Field<boolean>('bool', value, description, rules);
export const int = (value: number, description: string, rules?: FieldRules) =>
  new Field<number>('int', value, description, rules);
export const float = (value: number, description: string, rules?: FieldRules) =>
  new Field<number>('float', value, description, rules);
export const string = (value: string, description: string, rules?: FieldRules) =>
  new Field<string>('string', value, description, rules);
export const bools = (value: boolean[], description: string, rules?: FieldRules) =>
  new Field<boolean[]>('bools', value, description, rules);
export const ints = (value: number[], description: string, rules?: FieldRules) =>
  new Field<number[]>('ints', value, description, rules);
export const floats = (value: number[], description: string, rules?: FieldRules) =>
  new Field<number[]>('floats', value, description, rules);
export const strings = (value: string[], description: string, rules?: FieldRules) =>
  new Field<string[]>('strings', value, description, rules);
export const floatLists = (value: number[][], description: string, rules?: FieldRules) =>
  new Field<number[][]>('float lists', value, description, rules);
export const rows = (value: (string | number)[][], description: string, rules?: FieldRules) =>
  new Field<(string | number)[][]>('rows', value, description, rules);
export const nullableFloat = (value: number | null, description: string, rules?: FieldRules) =>
  new Field<number | null>('float', value, description, { ...rules, nullable: true });
