import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { explainWriteError } from '../../atomic_file.js';
import { frameRecord, scalarEvent, versionEvent } from './event_file.js';
import type { Writer } from './writer.js';

/** A TensorBoard event file (`events.out.tfevents...`) of scalars; a run that goes on writes a new one beside the old. */
export class TensorBoardWriter implements Writer {
  private path = '';

  /** @param now seconds since 1970 */
  constructor(
    private readonly folder: string,
    private readonly now: () => number = () => Date.now() / 1000,
  ) {}

  async open(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    this.path = join(this.folder, `events.out.tfevents.${Math.floor(this.now())}.${hostname()}.${process.pid}`);
    await this.put(() => writeFile(this.path, frameRecord(versionEvent(this.now()))));
  }

  async write(iteration: number, scalars: Readonly<Record<string, number>>): Promise<void> {
    await this.put(() => appendFile(this.path, frameRecord(scalarEvent(this.now(), iteration, scalars))));
  }

  private async put(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw explainWriteError(this.path, error);
    }
  }
}
