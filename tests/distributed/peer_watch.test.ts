import { type EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { PeerWatch } from '../../src/distributed/peer_watch.js';
import type { WatchAddress } from '../../src/distributed/watch_messages.js';
import { GivenPeers } from './in_process.js';

/** Rank 0 of two, whose watch's address is seen. */
class FirstOfTwo extends GivenPeers {
  address: WatchAddress | undefined;

  constructor() {
    super(0, 2, []);
  }

  override broadcast(bytes: Uint8Array): Uint8Array {
    this.address = JSON.parse(new TextDecoder().decode(bytes)) as WatchAddress;
    return bytes;
  }
}

/** Sends something to the port, as any program may; what comes back until the other side closes. */
async function send(port: number, text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  let heard = '';
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

describe('PeerWatch', () => {
  it('closes connections of other programs and goes on', { timeout: 60_000 }, async () => {
    const first = new FirstOfTwo();
    const lines: string[] = [];
    const watch = await PeerWatch.begin(first, (line) => lines.push(line), 600_000);
    const { port, token } = first.address!;
    const bye = JSON.stringify({ kind: 'bye', rank: 1 });
    const hello = (word: string) => JSON.stringify({ kind: 'hello', rank: 1, token: word, who: 'a test' });
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\0\u0003\n', 'x'.repeat(100_000), `${bye}\n`, `${hello('wrong')}\n`])
      expect(await send(port, text)).toBe('');
    // The rank itself is heard, gets the signs of rank 0, and leaves.
    const peer = connect({ host: '127.0.0.1', port });
    peer.write(`${hello(token)}\n`);
    const [sign] = (await once(peer, 'data')) as [Buffer];
    expect(JSON.parse(sign.toString())).toEqual({ kind: 'beat', rank: 0, position: 0 });
    peer.write(`${bye}\n`);
    await watch.end();
    peer.destroy();
    expect(lines).toEqual([]);
  });

  it('says that its thread failed, and keeps nobody waiting for it', { timeout: 60_000 }, async () => {
    const lines: string[] = [];
    const watch = await PeerWatch.begin(new FirstOfTwo(), (line) => lines.push(line), 600_000);
    (watch as unknown as { worker: EventEmitter }).worker.emit('error', new Error('out of memory'));
    expect(lines).toEqual(['WARNING: the thread of rank 0 that watches over the other processes failed: out of memory']);
    await watch.end();
  });
});
