import { BackendError } from '../errors.js';
import type { Launch } from './launch.js';

/** A C function; its first argument's type depends on the library. */
type Foreign = (...args: unknown[]) => number;

/** The functions and constants of MPI that are used here. */
export interface MpiLibrary {
  readonly name: string;
  readonly initThread: Foreign;
  readonly finalize: Foreign;
  readonly commRank: Foreign;
  readonly commSize: Foreign;
  readonly allreduce: Foreign;
  readonly broadcast: Foreign;
  readonly allgather: Foreign;
  readonly allgatherv: Foreign;
  readonly gather: Foreign;
  readonly gatherv: Foreign;
  readonly barrier: Foreign;
  /** Handles: addresses in Open MPI, numbers in MPICH. */
  readonly world: unknown;
  readonly float32: unknown;
  readonly float64: unknown;
  readonly int32: unknown;
  readonly byte: unknown;
  readonly sum: unknown;
  readonly max: unknown;
  /** The address that stands for "the result takes the place of what is given". */
  readonly inPlace: bigint;
}

/** File names by which Open MPI (its interface 40, versions 3 to 5) and MPICH are found. */
const OPEN_MPI = ['libmpi.so.40', 'libmpi.40.dylib'];
const MPICH = ['libmpich.so.12', 'libmpi.so.12', 'libmpi.12.dylib'];

const INSTALL =
  'Install Open MPI (Debian, Ubuntu: openmpi-bin and libopenmpi3) or MPICH, or name the library in MASKRCNN_MPI_LIBRARY';

/**
 * Loads MPI through the npm package koffi.
 * @throws BackendError where one of the two is missing: says which, and how to get it
 */
export async function loadMpi({ by, size }: Launch): Promise<MpiLibrary> {
  const why = `${by} started this as one of ${size} processes, and they talk through MPI`;
  const koffi = await import('koffi').then(
    (module) => module.default,
    (cause: unknown) => {
      throw new BackendError(`${why}: the npm package koffi is needed for that and cannot be loaded. Run: npm install koffi`, {
        cause,
      });
    },
  );
  const named = process.env.MASKRCNN_MPI_LIBRARY;
  // The family that started us first: the libraries of both may lie side by side, and each knows its own starter only.
  const standard = by === 'mpiexec' ? [...MPICH, ...OPEN_MPI] : [...OPEN_MPI, ...MPICH];
  const failures: string[] = [];
  for (const path of named ? [named] : standard) {
    try {
      // Global: Open MPI's plug-ins look for its symbols among those of the process.
      const library = koffi.load(path, { global: true, lazy: true });
      return isOpenMpi(library) ? openMpi(koffi, library, path) : mpich(library, path);
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new BackendError(`${why}: its library cannot be loaded (${failures.join('; ')}). ${INSTALL}.`);
}

type Koffi = (typeof import('koffi'))['default'];
type Library = ReturnType<Koffi['load']>;

function isOpenMpi(library: Library): boolean {
  try {
    library.symbol('ompi_mpi_comm_world', 'void');
    return true;
  } catch {
    return false;
  }
}

function openMpi(koffi: Koffi, library: Library, name: string): MpiLibrary {
  const handle = (symbol: string): unknown => koffi.address(library.symbol(symbol, 'void'));
  return {
    name,
    ...functions(library, 'void *'),
    world: handle('ompi_mpi_comm_world'),
    float32: handle('ompi_mpi_float'),
    float64: handle('ompi_mpi_double'),
    int32: handle('ompi_mpi_int'),
    byte: handle('ompi_mpi_byte'),
    sum: handle('ompi_mpi_op_sum'),
    max: handle('ompi_mpi_op_max'),
    inPlace: 1n,
  };
}

/** The numbers are fixed by MPICH's binary interface, which Intel MPI and MVAPICH share. */
function mpich(library: Library, name: string): MpiLibrary {
  return {
    name,
    ...functions(library, 'int'),
    world: 0x44000000,
    float32: 0x4c00040a,
    float64: 0x4c00080b,
    int32: 0x4c000405,
    byte: 0x4c00010d,
    sum: 0x58000003,
    max: 0x58000001,
    inPlace: -1n,
  };
}

function functions(library: Library, handle: 'void *' | 'int') {
  const define = (signature: string): Foreign => library.func(signature.replaceAll('HANDLE', handle)) as Foreign;
  return {
    initThread: define('int MPI_Init_thread(void *argc, void *argv, int required, _Out_ int *provided)'),
    finalize: define('int MPI_Finalize()'),
    commRank: define('int MPI_Comm_rank(HANDLE comm, _Out_ int *rank)'),
    commSize: define('int MPI_Comm_size(HANDLE comm, _Out_ int *size)'),
    allreduce: define('int MPI_Allreduce(intptr_t from, void *to, int count, HANDLE type, HANDLE op, HANDLE comm)'),
    broadcast: define('int MPI_Bcast(void *buffer, int count, HANDLE type, int root, HANDLE comm)'),
    allgather: define('int MPI_Allgather(void *from, int n, HANDLE type, void *to, int m, HANDLE type2, HANDLE comm)'),
    allgatherv: define(
      'int MPI_Allgatherv(void *from, int n, HANDLE type, void *to, void *counts, void *starts, HANDLE type2, HANDLE comm)',
    ),
    gather: define('int MPI_Gather(void *from, int n, HANDLE type, void *to, int m, HANDLE type2, int root, HANDLE comm)'),
    gatherv: define(
      'int MPI_Gatherv(void *from, int n, HANDLE type, void *to, void *counts, void *starts, HANDLE type2, int root, HANDLE comm)',
    ),
    barrier: define('int MPI_Barrier(HANDLE comm)'),
  };
}
