import { CheckpointError } from '../errors.js';
import { bytesOf } from './pickle.js';
import type { PickleGlobal } from './pickle.js';

/** dict(pairs), OrderedDict(pairs), defaultdict(factory, pairs), Counter(dict). */
function dictFrom(args: unknown[]): Map<unknown, unknown> {
  const items = args.find((arg) => arg instanceof Map || Array.isArray(arg));
  if (items instanceof Map) return new Map(items);
  const dict = new Map<unknown, unknown>();
  for (const pair of (items as unknown[] | undefined) ?? []) {
    if (!Array.isArray(pair) || pair.length !== 2) throw new CheckpointError('a dict made of something that is not pairs');
    dict.set(pair[0], pair[1]);
  }
  return dict;
}

function listFrom(args: unknown[]): unknown[] {
  const items = args[0] ?? [];
  if (Array.isArray(items)) return [...(items as unknown[])];
  if (items instanceof Set) return [...(items as Set<unknown>)];
  throw new CheckpointError('a list made of something that is not a sequence');
}

/** bytearray(bytes), and the empty bytes() of protocol 2. */
function bytearrayFrom(args: unknown[]): Uint8Array {
  const bytes = args.length === 0 ? new Uint8Array(0) : bytesOf(args[0]);
  if (!bytes) throw new CheckpointError('a bytearray made of something that is not bytes');
  return bytes;
}

/** `copyreg._reconstructor(class, base, state)`, which protocol 2 uses for subclasses of dict. */
function reconstruct(args: unknown[]): unknown {
  const type = args[0] as PickleGlobal | null;
  if (type?.kind !== 'global' || !type.call)
    throw new CheckpointError('copyreg._reconstructor of something that is not a container');
  return type.call(args[2] === null || args[2] === undefined ? [] : [args[2]]);
}

/** Python's own containers, as far as weight files and training checkpoints use them. */
export function pythonGlobals(): PickleGlobal[] {
  const globals: PickleGlobal[] = [
    { kind: 'global', name: 'collections OrderedDict', call: dictFrom },
    { kind: 'global', name: 'collections defaultdict', call: dictFrom },
    { kind: 'global', name: 'collections Counter', call: dictFrom },
  ];
  for (const module of ['copyreg', 'copy_reg'])
    globals.push({ kind: 'global', name: `${module} _reconstructor`, call: reconstruct });
  for (const module of ['builtins', '__builtin__']) {
    globals.push(
      { kind: 'global', name: `${module} dict`, call: dictFrom },
      { kind: 'global', name: `${module} list`, call: listFrom },
      { kind: 'global', name: `${module} set`, call: (args) => new Set(listFrom(args)) },
      { kind: 'global', name: `${module} bytearray`, call: bytearrayFrom },
      { kind: 'global', name: `${module} bytes`, call: bytearrayFrom },
      // Only named, as the factory of a defaultdict.
      { kind: 'global', name: `${module} int` },
      { kind: 'global', name: `${module} float` },
    );
  }
  return globals;
}
