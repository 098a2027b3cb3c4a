import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { threadCount } from '../src/backends/wasm_threads.js';
import type { Bench } from './bench.js';
import { BENCHES, SCRIPTS } from './benches.js';
import { median } from './median.js';
import { Peer, PEERS, type PeerInput, type PeerName } from './peer.js';

interface Options {
  backend: string;
  /** Names of peers, parted by commas; false: none. */
  peers?: string | false;
  json?: boolean;
  runs: string;
}

/** A line of results; the figures are medians in milliseconds, `ratio` above 1 means that ours is faster. */
interface Result {
  name: string;
  input: string;
  backend: string;
  threads: number;
  ours_ms: number;
  peer: string;
  peer_ms: number | null;
  ratio: number | null;
  runs: number;
  [figure: string]: unknown;
}

const DEFAULT_RUNS = '5';

const round = (v: number): number => Number(v.toPrecision(4));

async function measure(
  bench: Bench,
  backend: string,
  runs: number,
  folder: string,
  peers: Map<PeerName, Peer | string>,
  wanted: (peer: PeerName) => boolean,
): Promise<Result[]> {
  const inputs: Record<string, PeerInput> = {};
  for (const [name, { shape, data }] of Object.entries(bench.inputs)) {
    const file = join(folder, `${bench.name}.${name}.bin`);
    writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    inputs[name] = { file, shape, dtype: data instanceof Uint8Array ? 'uint8' : 'float32' };
  }
  const sides = await Promise.all(bench.peers.filter(wanted).map((name) => preparePeer(name, bench, inputs, peers)));
  const ours = await bench.prepare();
  const { baseline } = ours;
  if (baseline) sides.push({ local: () => baseline.run(), description: baseline.description, times: [], figures: {} });
  const times: number[] = [];
  let figures: Record<string, number> = {};
  try {
    // The first turn warms both sides up and is not counted. What is there so far is shown as it comes: a turn may take minutes.
    for (let turn = 0; turn <= runs; turn++) {
      const start = performance.now();
      figures = (await ours.run()) ?? {};
      const elapsed = performance.now() - start;
      if (turn > 0) times.push(elapsed);
      if (turn > 0 || bench.warmPeers !== false) for (const side of sides) await runPeer(side, turn > 0);
      if (turn > 0) process.stderr.write(`${soFar(bench.name, turn, runs, times, sides)}\n`);
    }
  } finally {
    ours.dispose();
  }
  const ours_ms = median(times);
  // A bench without a peer reports its own figures.
  if (sides.length === 0) sides.push({ description: 'none', times: [], figures: {} });
  const threads = backend === 'wasm' ? await threadCount() : backend === 'tensorflow' ? availableParallelism() : 1;
  return sides.map((side) => {
    const peer_ms = side.times.length === runs ? median(side.times) : null;
    const figuresOfPeer = Object.fromEntries(Object.entries(side.figures).map(([k, v]) => [`peer_${k}`, v]));
    return {
      name: bench.name,
      input: bench.input,
      backend,
      threads,
      ours_ms: round(ours_ms),
      peer: side.description,
      peer_ms: peer_ms === null ? null : round(peer_ms),
      ratio: peer_ms === null ? null : round(peer_ms / ours_ms),
      runs,
      ...(bench.flops ? { gflops_per_s: round(bench.flops / ours_ms / 1e6) } : {}),
      ...figures,
      ...figuresOfPeer,
    };
  });
}

function soFar(name: string, turn: number, runs: number, ours: number[], sides: Side[]): string {
  const last = (times: number[]): string => (times.length ? `${round(times.at(-1)!)} ms` : '');
  const others = sides
    .filter(({ peer, local }) => peer ?? local)
    .map((side) => `, ${side.description.split(',')[0]} ${last(side.times)}`)
    .join('');
  return `  ${name} ${turn} of ${runs}: ours ${last(ours)}${others}`;
}

interface Side {
  peer?: Peer;
  /** A peer in this process. */
  local?: () => Promise<void>;
  description: string;
  times: number[];
  figures: Record<string, unknown>;
}

async function preparePeer(
  name: PeerName,
  bench: Bench,
  inputs: Record<string, PeerInput>,
  peers: Map<PeerName, Peer | string>,
): Promise<Side> {
  if (!peers.has(name)) peers.set(name, await Peer.start(name));
  const peer = peers.get(name)!;
  const side: Side = { description: '', times: [], figures: {} };
  if (typeof peer === 'string') return { ...side, description: `missing: ${peer}` };
  const answer = await peer.ask({ do: 'prepare', bench: bench.name, inputs, options: bench.options });
  if (answer.error) return { ...side, description: `missing: ${name} cannot prepare this bench (${answer.error})` };
  return { ...side, peer, description: `${peer.description}, ${peer.threads} threads` };
}

async function runPeer(side: Side, counted: boolean): Promise<void> {
  if (side.local) {
    const start = performance.now();
    await side.local();
    if (counted) side.times.push(performance.now() - start);
  }
  if (!side.peer) return;
  const { ms, error, ...figures } = await side.peer.ask({ do: 'run' });
  if (error) {
    delete side.peer;
    side.description = `missing: ${side.description} failed (${error})`;
    side.times = [];
    return;
  }
  if (counted) side.times.push(Number(ms));
  side.figures = figures;
}

async function main(names: string[], options: Options): Promise<void> {
  const unknown = names.filter((name) => !(name in BENCHES) && !SCRIPTS.includes(name));
  if (unknown.length)
    throw new Error(`no bench '${unknown.join("', '")}'; there are ${[...Object.keys(BENCHES), ...SCRIPTS].join(', ')}`);
  const strangers = options.peers ? options.peers.split(',').filter((name) => !PEERS.includes(name as PeerName)) : [];
  if (strangers.length) throw new Error(`no peer '${strangers.join("', '")}'; there are ${PEERS.join(', ')}`);
  const runs = Number(options.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs wants a whole number of at least 1, not '${options.runs}'`);
  for (const script of names.length ? names.filter((name) => SCRIPTS.includes(name)) : SCRIPTS) runScript(script, options);
  const inHere = names.length ? names.filter((name) => name in BENCHES) : Object.keys(BENCHES);
  if (inHere.length === 0) return;
  const { startBackend } = await import('../src/backends/select.js');
  const backend = await startBackend(options.backend as Parameters<typeof startBackend>[0]);
  // Registers the gradients of the stock kernels.
  await import('@tensorflow/tfjs-layers');
  const wanted = (name: PeerName): boolean =>
    options.peers !== false && (options.peers === undefined || options.peers.split(',').includes(name));
  const folder = mkdtempSync(join(tmpdir(), 'maskrcnn-bench-'));
  const peers = new Map<PeerName, Peer | string>();
  try {
    for (const name of inHere) {
      const bench = await BENCHES[name]!();
      for (const result of await measure(bench, backend.device, runs, folder, peers, wanted)) {
        process.stdout.write(`${JSON.stringify(result)}\n`);
        if (!options.json) process.stderr.write(`${summary(result)}\n`);
      }
    }
  } finally {
    for (const peer of peers.values()) if (typeof peer !== 'string') peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The script's own `--runs` serves where none was asked for. */
function runScript(name: string, { backend, runs }: Options): void {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const args = ['--import', 'tsx', file, '--backend', backend, ...(runs === DEFAULT_RUNS ? [] : ['--runs', runs])];
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exitCode = 1;
}

function summary(r: Result): string {
  const against = r.peer_ms === null ? r.peer : `${r.peer_ms} ms (${r.peer}): ${r.ratio} times as fast`;
  return `  ${r.name} on ${r.backend}: ${r.ours_ms} ms against ${against}`;
}

await new Command('bench')
  .description('Measures the project beside its peers; one JSON line a bench and peer on standard output.')
  .argument('[name...]', `benches to run (all): ${[...Object.keys(BENCHES), ...SCRIPTS].join(', ')}`)
  .option('--backend <name>', 'backend that runs ours', 'auto')
  .option('--runs <n>', 'counted runs of each side', DEFAULT_RUNS)
  .option('--peers <names>', `of the bench's peers only these, parted by commas: ${PEERS.join(', ')}`)
  .option('--no-peers', 'ours alone')
  .option('--json', 'JSON lines only, without the summary on standard error')
  .action(async (names: string[], options: Options) => {
    try {
      await main(names, options);
    } catch (error) {
      process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  })
  .parseAsync();
