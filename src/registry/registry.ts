import { ArgumentError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';

/** Parts of one kind by the names that configurations and calls use. */
export class Registry<T> {
  private readonly parts = new Map<string, T>();

  /** @param kind for messages, such as `backbone` */
  constructor(readonly kind: string) {}

  /**
   * Adds a part.
   * @returns takes it away again, as tests do
   * @throws ArgumentError for a name that is taken
   */
  register(name: string, part: T): () => void {
    if (this.parts.has(name))
      throw new ArgumentError(`There is a ${this.kind} ${name} already; register yours under another name.`);
    this.parts.set(name, part);
    return () => {
      this.parts.delete(name);
    };
  }

  has(name: string): boolean {
    return this.parts.has(name);
  }

  /** The part of that name, undefined where none was registered. */
  get(name: string): T | undefined {
    return this.parts.get(name);
  }

  /** @throws ArgumentError that names the nearest ones */
  require(name: string): T {
    const part = this.parts.get(name);
    if (part !== undefined) return part;
    const near = nearestNames(name, this.names());
    throw new ArgumentError(`There is no ${this.kind} ${name}${near.length > 0 ? `; near it: ${near.join(', ')}` : ''}.`);
  }

  names(): string[] {
    return [...this.parts.keys()];
  }
}
