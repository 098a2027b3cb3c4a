// The thread that watches over the other ranks while the main one computes or waits in MPI, where it hears nothing. All ranks hold a connection to
// rank 0: the system closes a dead process's, so that rank 0 knows at once, and tells the rest; rank 0's own end every rank sees by itself. A process
// that is there but hangs is found by what all say about their progress.
import { writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { ProgressWatch, type Standstill } from './progress_watch.js';
import {
  eachLine,
  shortReason,
  type WatchAddress,
  type WatchAnswer,
  type WatchLine,
  type WatchOptions,
  type WatchOrder,
} from './watch_messages.js';

const { rank, size, who, token, position, timeout } = workerData as WatchOptions;
const port = parentPort!;
const answer = (value: WatchAnswer): void => port.postMessage(value);

/** Milliseconds that are waited for a connection, and for the last lines to go out. */
const CONNECT = 20_000;
const LAST_WORDS = 1_000;

/** Milliseconds without a sign after which the system asks whether the other machine is still there; ten unanswered seconds later it is not. */
const KEEP_ALIVE = 10_000;

/** Milliseconds between the signs that a rank gives. */
const BEAT = 1_000;

const GO_ON = 'The last checkpoint is whole: start again with --resume.';

/** Open connections: rank 0's to all others, each other one's to rank 0. */
const peers = new Map<number, { readonly socket: Socket; readonly who: string }>();
const left = new Set<number>();
let ending = false;
let leaving = false;
/** Of all ranks on rank 0; of rank 0 alone on the others. */
const progress = new ProgressWatch(timeout, BEAT);

function send(socket: Socket, line: WatchLine): Promise<void> {
  return new Promise((resolve) => socket.write(`${JSON.stringify(line)}\n`, () => resolve()));
}

function tellAll(line: WatchLine): Promise<unknown> {
  const sent = [...peers.values()].map(({ socket }) => send(socket, line));
  return Promise.race([Promise.all(sent), new Promise((resolve) => setTimeout(resolve, LAST_WORDS))]);
}

/** Ends this process, also where its main thread waits in MPI for a rank that will never come: says why first. */
async function endProcess(reason: string): Promise<void> {
  if (ending) return;
  ending = true;
  try {
    writeSync(2, `maskrcnn: rank ${rank} of ${size} ends: ${reason.replace(/\s*\n\s*/g, ' ')}\n`);
  } catch {
    // Nobody reads what it says; it ends all the same.
  }
  if (rank === 0) await tellAll({ kind: 'end', reason: shortReason(reason) });
  // Nothing of the main thread may run any more, and no handler waits for it.
  process.kill(process.pid, 'SIGKILL');
}

function watch(other: number, description: string, socket: Socket): void {
  peers.set(other, { socket, who: description });
  const gone = (): void => {
    peers.delete(other);
    if (leaving || left.has(other)) return;
    void endProcess(`rank ${other} (${description}) is gone: it was killed, ran out of memory, or its machine is down. ${GO_ON}`);
  };
  socket.on('close', gone);
}

/** @param onLine says whether the connection is one of ours */
function prepare(socket: Socket, onLine: (line: WatchLine) => boolean): void {
  socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE).setEncoding('utf8');
  // An error closes the connection, and that is looked at.
  socket.on('error', () => undefined);
  const strange = (): void => void socket.destroy();
  socket.on(
    'data',
    eachLine((line) => {
      if (onLine(line)) return true;
      strange();
      return false;
    }, strange),
  );
}

function hear(line: WatchLine): true {
  if (line.kind === 'beat') progress.hear(line.rank, line.position, performance.now());
  if (line.kind === 'bye') {
    left.add(line.rank);
    progress.leave(line.rank);
  }
  if (line.kind === 'end') void endProcess(line.reason);
  return true;
}

function listen(): void {
  const server = createServer((socket) => {
    let known = false;
    // Whoever does not say who it is holds no connection.
    socket.setTimeout(CONNECT, () => !known && socket.destroy());
    prepare(socket, (line) => {
      if (known) return hear(line);
      if (line.kind !== 'hello' || line.token !== token) return false;
      known = true;
      socket.setTimeout(0);
      watch(line.rank, line.who, socket);
      return true;
    });
  });
  server.once('error', ({ message }) =>
    answer({ problem: `rank 0 (${who}) cannot listen (${message}): where a rank dies, the others learn it from mpirun alone` }),
  );
  server.listen(0, () => {
    const inner = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const hosts = [hostname(), ...inner.filter(({ internal }) => !internal).map(({ address }) => address), '127.0.0.1'];
    answer({ address: { hosts, port: (server.address() as { port: number }).port, token } });
  });
}

/** Tries one address after another. */
function join({ hosts, port: at, token: word }: WatchAddress): void {
  const [host, ...others] = hosts;
  if (host === undefined)
    return answer({
      problem: `rank ${rank} (${who}) cannot reach rank 0 by TCP: where a rank dies, the others learn it from mpirun alone`,
    });
  const socket = connect({ host, port: at, timeout: CONNECT });
  const next = (): void => {
    socket.destroy();
    join({ hosts: others, port: at, token: word });
  };
  socket.once('error', next).once('timeout', next);
  socket.once('connect', () => {
    socket.setTimeout(0).off('error', next).off('timeout', next);
    prepare(socket, hear);
    watch(0, `the first process, on ${host}`, socket);
    void send(socket, { kind: 'hello', rank, token: word, who }).then(() => answer({}));
  });
}

function beat(): void {
  const line = { kind: 'beat', rank, position: Atomics.load(position, 0) } as const;
  if (rank === 0 && !leaving) progress.hear(rank, line.position, performance.now());
  if (!leaving) for (const { socket } of peers.values()) void send(socket, line);
  const standstill = progress.check(performance.now());
  if (standstill) void endProcess(`${describe(standstill)} ${GO_ON}`);
}

function describe({ ranks, kind }: Standstill): string {
  const seconds = `${timeout / 1000} s`;
  if (kind === 'together')
    return `all processes have waited for each other in MPI for ${seconds}: the network between them, or MPI, is stuck.`;
  const shown = ranks.slice(0, 8).map((each) => `rank ${each} (${each === rank ? who : peers.get(each)?.who})`);
  if (ranks.length > 8) shown.push(`${ranks.length - 8} more`);
  return kind === 'silent'
    ? `nothing has been heard of ${shown.join(', ')} for ${seconds}: the process is stopped, or its machine hangs.`
    : `${shown.join(', ')} did not come where others have waited for ${seconds}: it hangs, or needs a longer --rank-timeout.`;
}

port.on('message', async (order: WatchOrder) => {
  if (order.do === 'join') return join(order.address);
  if (order.do === 'fail') {
    ending = true;
    await tellAll({ kind: 'end', reason: shortReason(order.reason) });
  } else {
    leaving = true;
    if (rank === 0) progress.leave(rank);
    await tellAll({ kind: 'bye', rank });
  }
  answer({});
});

setInterval(beat, BEAT);
if (rank === 0) listen();
else answer({});
