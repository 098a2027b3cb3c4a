// What training in several processes costs: steps in 1, 2 and 4 processes of this machine with a picture each, and from that a model of more machines.
// JSON lines on standard output, tables on standard error. Needs Open MPI and koffi.
// npm run bench -- distributed [--backend tensorflow|wasm|cpu] [--runs 3]
// tsx benchmarks/distributed.ts [--config NAME|FILE] [--side 800] [--processes 1,2,4] [--floats 44000000]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { textTable } from '../src/cli/text_table.js';
import type { RankOptions, RankResult } from './distributed_rank.js';
import { type Network, overlappedStep, ringStep, sumBoundMs } from './ring_model.js';
import { option } from './script_options.js';

/** Assumed: four fifths of the line rate is reached; 30 microseconds a message of TCP, 5 where the network card moves the bytes. */
const NETWORKS: Readonly<Record<string, Network>> = {
  '10': { bitsPerSecond: 10e9, latencySeconds: 30e-6, reached: 0.8 },
  '100': { bitsPerSecond: 100e9, latencySeconds: 5e-6, reached: 0.8 },
};
const NODES = [8, 16, 32, 64, 128, 256];

const options: RankOptions = {
  config: option('--config', 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x'),
  side: Number(option('--side', '800')),
  floats: Number(option('--floats', '44000000')),
  runs: Number(option('--runs', '3')),
  backend: option('--backend', 'auto') as RankOptions['backend'],
};

const round = (value: number): number => Number(value.toPrecision(4));
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

function measure(processes: number): RankResult {
  const child = fileURLToPath(new URL('./distributed_rank.ts', import.meta.url));
  const flags = ['--oversubscribe', '--bind-to', 'none', ...(process.getuid?.() === 0 ? ['--allow-run-as-root'] : [])];
  const args = [...flags, '-n', String(processes), process.execPath, '--import', 'tsx', child, JSON.stringify(options)];
  const { status, stdout, stderr, error } = spawnSync('mpirun', args, {
    encoding: 'utf8',
    // Processes share the cores of this machine: one that waits leaves its core to the others.
    env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1' },
  });
  const line = stdout?.split('\n').find((text) => text.startsWith('RESULT '));
  if (status !== 0 || line === undefined) throw new Error(`mpirun -n ${processes} failed: ${error?.message ?? stderr}`);
  return JSON.parse(line.slice('RESULT '.length)) as RankResult;
}

const measured = new Map<number, RankResult>();
for (const processes of option('--processes', '1,2,4').split(',').map(Number)) {
  const result = measure(processes);
  measured.set(processes, result);
  const bandwidth = result.memory_gb_per_s * 1e9;
  const bound = sumBoundMs(result.gradient_bytes, processes, bandwidth);
  const aloneBound = sumBoundMs(4 * options.floats, processes, bandwidth);
  // One process has nothing to sum.
  const ratio = (ms: number, least: number): number | null => (least > 0 ? round(ms / least) : null);
  const rounded = Object.entries(result).map(([key, value]) => [key, typeof value === 'number' ? round(value) : value] as const);
  print({
    name: 'distributed',
    input: `${options.config}, ${options.side}x${options.side}, a picture a process`,
    processes,
    ...Object.fromEntries(rounded),
    communication_share: round(result.communication_ms / result.step_ms),
    bound_ms: round(bound),
    communication_to_bound: ratio(result.communication_ms, bound),
    allreduce_floats: options.floats,
    allreduce_bound_ms: round(aloneBound),
    allreduce_to_bound: ratio(result.allreduce_ms, aloneBound),
    runs: options.runs,
  });
}
const HEAD = ['processes', 'step', 'overlapped', 'waiting', 'communication', 'of the step', 'of it MPI', 'bound', 'ratio'];
process.stderr.write(
  `${textTable([
    [...HEAD, `sum of ${options.floats / 1e6} M`, 'bound', 'ratio'],
    ...[...measured].map(([n, r]) => {
      const ms = (value: number): string => `${Math.round(value)} ms`;
      const against = (value: number, bytes: number): string[] => {
        const bound = sumBoundMs(bytes, n, r.memory_gb_per_s * 1e9);
        return [ms(bound), bound > 0 ? (value / bound).toFixed(1) : ''];
      };
      return [
        String(n),
        ...[r.step_ms, r.overlapped_step_ms, r.wait_ms, r.communication_ms].map(ms),
        `${((100 * r.communication_ms) / r.step_ms).toFixed(1)} %`,
        ms(r.mpi_ms),
        ...against(r.communication_ms, r.gradient_bytes),
        ms(r.allreduce_ms),
        ...against(r.allreduce_ms, 4 * options.floats),
      ];
    }),
  ])}\n`,
);

const [one, two] = [measured.get(1), measured.get(2)];
if (one && two) {
  const machine = {
    computeMs: one.step_ms - one.communication_ms,
    copiesMs: two.communication_ms - two.mpi_ms,
    bytes: one.gradient_bytes,
    buckets: two.buckets,
    memoryBytesPerSecond: one.memory_gb_per_s * 1e9,
  };
  const rows = NODES.map((nodes) => {
    const cells = Object.entries(NETWORKS).flatMap(([gbit, network]) => {
      const { stepMs, communicationMs } = ringStep(machine, network, nodes);
      const overlapped = overlappedStep(machine, network, nodes);
      const efficiency = machine.computeMs / stepMs;
      print({
        name: 'distributed_model',
        nodes,
        gbit_per_s: Number(gbit),
        step_ms: round(stepMs),
        communication_ms: round(communicationMs),
        efficiency: round(efficiency),
        overlapped_step_ms: round(overlapped.stepMs),
        overlapped_efficiency: round(machine.computeMs / overlapped.stepMs),
      });
      return [stepMs, overlapped.stepMs].flatMap((ms) => [
        `${Math.round(ms)} ms`,
        `${Math.round((100 * machine.computeMs) / ms)} %`,
      ]);
    });
    return [String(nodes), ...cells];
  });
  process.stderr.write(
    `${textTable([
      [
        'machines',
        ...Object.keys(NETWORKS).flatMap((gbit) => [`step at ${gbit} Gbit/s`, 'efficiency', 'overlapped', 'efficiency']),
      ],
      ...rows,
    ])}\n`,
  );
}
