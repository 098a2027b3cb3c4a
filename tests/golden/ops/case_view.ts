import type { Line, Numbers } from '../compare.js';
import type { GoldenTensor, GoldenTensors } from '../golden_tensors.js';

interface Entry {
  tensor?: string;
  value?: unknown;
  shape?: number[];
  dtype?: string;
}

/** A case as an ops file writes it. */
export interface OpsCase {
  name: string;
  params: Record<string, unknown>;
  inputs: Record<string, Entry>;
  outputs: Record<string, Entry>;
  note?: string;
  atol: number;
}

/** What an adapter gives for an output: a tensor, or a plain value where the golden is one. */
export type OpsOutput = { shape: readonly number[]; data: Numbers } | { value: unknown };

export interface OpsAdapter {
  /** What the operation is needed for; outputs whose names start with `grad` are training whatever stands here. */
  purpose: 'inference' | 'training' | 'both';
  /** Outputs by the golden's names; one that is missing is printed as unsupported. */
  run(view: CaseView): Promise<Record<string, OpsOutput>>;
  /** Replaces the plain comparison of an output where the file's notes ask for another rule. */
  compare?(view: CaseView, where: { case: string; name: string }, actual: OpsOutput): Line | undefined;
}

/** One case with its tensors; inputs that a case lacks are those of the earlier case that its note names, else of the nearest earlier one. */
export class CaseView {
  constructor(
    private readonly cases: readonly OpsCase[],
    private readonly index: number,
    private readonly file: GoldenTensors | undefined,
  ) {}

  get golden(): OpsCase {
    return this.cases[this.index]!;
  }

  get note(): string {
    return this.golden.note ?? '';
  }

  /** A parameter of the case, else of the nearest earlier case that has it, else undefined. */
  param<T>(name: string): T | undefined {
    for (let i = this.index; i >= 0; i--) {
      const value = this.cases[i]!.params[name];
      if (value !== undefined) return value as T;
    }
    return undefined;
  }

  required<T>(name: string): T {
    const value = this.param<T>(name);
    if (value === undefined) throw new Error(`case ${this.golden.name}: no parameter '${name}'`);
    return value;
  }

  has(name: string): boolean {
    return this.owner(name) !== undefined;
  }

  /** Whether the case itself, not an earlier one, brings the input. */
  owns(name: string): boolean {
    return name in this.golden.inputs;
  }

  wants(output: string): boolean {
    return output in this.golden.outputs;
  }

  input(name: string): GoldenTensor {
    const entry = this.owner(name)?.inputs[name];
    if (!entry?.tensor || !this.file) throw new Error(`case ${this.golden.name}: no input '${name}'`);
    return this.file.get(entry.tensor);
  }

  float32(name: string): Float32Array {
    return Float32Array.from(this.input(name).data);
  }

  output(name: string): { tensor: GoldenTensor } | { value: unknown } {
    const entry = this.golden.outputs[name]!;
    if (entry.tensor === undefined) return { value: entry.value };
    if (!this.file) throw new Error(`case ${this.golden.name}: output '${name}' without a tensor file`);
    return { tensor: this.file.get(entry.tensor) };
  }

  /** Names of inputs of a family `prefix.0`, `prefix.1` ... or `prefix0`, `prefix1` ..., in order. */
  family(prefix: string): string[] {
    for (const form of [(i: number) => `${prefix}.${i}`, (i: number) => `${prefix}${i}`]) {
      const names: string[] = [];
      while (this.has(form(names.length))) names.push(form(names.length));
      if (names.length) return names;
    }
    return [];
  }

  private owner(name: string): OpsCase | undefined {
    if (name in this.golden.inputs) return this.golden;
    if (/first case/.test(this.note) && name in this.cases[0]!.inputs) return this.cases[0];
    const earlier = this.cases.slice(0, this.index).reverse();
    const words = this.note.split(/[\s:,;]+/);
    return earlier.find((c) => words.includes(c.name) && name in c.inputs) ?? earlier.find((c) => name in c.inputs);
  }
}
