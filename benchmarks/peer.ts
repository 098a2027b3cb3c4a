import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const PEERS = ['torchvision', 'onnxruntime', 'pycocotools', 'faster_coco_eval'] as const;
export type PeerName = (typeof PEERS)[number];

export interface PeerInput {
  file: string;
  shape: number[];
  dtype: 'float32' | 'uint8';
}

type Answer = Record<string, unknown> & { error?: string };

const here = (name: string): string => fileURLToPath(new URL(`./peers/${name}`, import.meta.url));

/** A peer process that answers JSON lines; see peers/torchvision_peer.py for the requests. */
export class Peer {
  private readonly pending: ((answer: Answer) => void)[] = [];
  private failure: string | undefined;
  description = '';
  threads = 0;

  private constructor(private readonly child: ChildProcess) {
    let errors = '';
    const fail = (reason: string): void => {
      this.failure ??= `${reason}${errors ? `: ${errors.trim().split('\n').at(-1)}` : ''}`;
      for (const resolve of this.pending.splice(0)) resolve({ error: this.failure });
    };
    child.on('error', (error) => fail(error.message));
    child.on('close', (code) => fail(`ended with code ${code}`));
    child.stderr!.on('data', (data: Buffer) => (errors = (errors + data.toString()).slice(-4000)));
    child.stdin!.on('error', () => undefined);
    createInterface({ input: child.stdout! }).on('line', (line) => this.pending.shift()?.(JSON.parse(line) as Answer));
  }

  /** Starts the peer, or returns the reason why it is not there. */
  static async start(name: PeerName): Promise<Peer | string> {
    const command = peerCommand(name);
    if (typeof command === 'string') return command;
    const peer = new Peer(
      spawn(command[0], command[1], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, OMP_NUM_THREADS: '2' } }),
    );
    const answer = await peer.ask({ do: 'describe' });
    if (answer.error) return `${name} does not start (${answer.error}); see benchmarks/peers/README.md`;
    peer.description = String(answer['peer']);
    peer.threads = Number(answer['threads']);
    return peer;
  }

  ask(request: Record<string, unknown>): Promise<Answer> {
    if (this.failure) return Promise.resolve({ error: this.failure });
    return new Promise((resolve) => {
      this.pending.push(resolve);
      this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    });
  }

  stop(): void {
    this.child.kill();
  }
}

function peerCommand(name: PeerName): [string, string[]] | string {
  if (name === 'torchvision') return [process.env['MASKRCNN_PEER_PYTHON'] ?? 'python3', [here('torchvision_peer.py')]];
  if (name === 'pycocotools' || name === 'faster_coco_eval') {
    const python = process.env['MASKRCNN_PEER_COCO_PYTHON'] ?? process.env['MASKRCNN_PEER_PYTHON'] ?? 'python3';
    return [python, [here('coco_peer.py'), name]];
  }
  for (const variable of ['MASKRCNN_PEER_ONNXRUNTIME', 'MASKRCNN_PEER_ONNX']) {
    if (!process.env[variable]) return `${name}: ${variable} is not set; see benchmarks/peers/README.md`;
  }
  return [process.execPath, [here('onnxruntime_peer.mjs')]];
}
