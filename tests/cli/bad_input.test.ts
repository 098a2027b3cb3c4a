import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { runCommandLine } from '../../src/cli/program.js';
import { Random } from '../../src/data/random.js';
import { CheckpointError } from '../../src/errors.js';

const model = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/model', import.meta.url));
const picture = fileURLToPath(new URL('../fixtures/mask_rcnn_R_18_FPN/inputs/0.png', import.meta.url));
const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

const at = (name: string) => join(folder, name);
const config = join(model, 'config.yaml');
const weights = join(model, 'model.safetensors');

/** Writes a file and gives its path. */
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** The shipped weights with one number that is none. */
function withNan(): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(weights));
  const view = new DataView(bytes.buffer);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { data_offsets: number[] }
  >;
  view.setFloat32(8 + length + header['roi_heads.mask_head.predictor.bias'].data_offsets[0], NaN, true);
  return bytes;
}

/** A PNG of a few bytes that claims to be 60000 pixels wide and high. */
function hugePicture(): Uint8Array {
  const bytes = Uint8Array.from(readFileSync(picture));
  new DataView(bytes.buffer).setUint32(16, 60000);
  new DataView(bytes.buffer).setUint32(20, 60000);
  return bytes;
}

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const add = (...parts: unknown[]): boolean => ((text += `${parts.map(String).join(' ')}\n`), true);
  for (const method of ['log', 'error', 'warn'] as const) vi.spyOn(console, method).mockImplementation(add);
  vi.spyOn(process.stderr, 'write').mockImplementation(add);
  process.exitCode = 0;
  const code = await runCommandLine(args, { out: add, err: add });
  const own = Number(process.exitCode);
  process.exitCode = 0;
  return { code: code || own, text };
}

const predict = (...args: string[]) => ['predict', ...args, '--device', 'wasm', '--output', at('out')];
const withModel = (c: string, w: string) => predict(picture, '--config', c, '--weights', w);
mkdirSync(at('empty'));

const cases: [name: string, args: () => string[], message: RegExp][] = [
  ['a picture that is missing', () => predict(at('none.png')), /none\.png' does not exist/],
  ['an empty picture', () => predict(file('empty.png', '')), /empty\.png' is empty \(0 bytes\)/],
  ['a corrupt picture', () => predict(file('cut.png', readFileSync(picture).subarray(0, 3000))), /cut\.png' is damaged or cut short/],
  ['a huge picture', () => predict(file('huge.png', hugePicture())), /huge\.png' (is too large: 60000 x 60000|starts like a PNG)/],
  ['a picture over --max-pixels', () => predict(picture, '--max-pixels', '100'), /0\.png' is too large: .*the limit is 100/],
  ['a folder without pictures', () => predict(at('empty')), /The folder .*empty has no images/],
  ['a pattern that matches nothing', () => predict(at('*.webp')), /No file matches .*\*\.webp/],
  ['a device that is none', () => ['predict', picture, '--device', 'wasn'], /'?wasn'?.*wasm/],
  ['a device that is not there', () => ['predict', picture, '--device', 'webgl'], /device webgl: .*(wasm|setup)/],
  ['an unknown model', () => predict(picture, '--model', 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_4x'), /Nearest names: .*mask_rcnn_R_50_FPN_3x/],
  ['a score that is none', () => predict(picture, '--score', 'high'), /--score is 'high'; expected a number from 0 to 1/],
  ['a config that is missing', () => withModel(at('none.yaml'), weights), /none\.yaml: the configuration file cannot be read: ENOENT/],
  ['an unknown key', () => withModel(file('key.yaml', 'MODEL:\n  MASK_OM: true\n'), weights), /key\.yaml: .*MODEL\.MASK_OM.*MASK_ON/],
  ['a value of the wrong type', () => withModel(file('type.yaml', 'MODEL:\n  MASK_ON: [1]\n'), weights), /type\.yaml: .*MODEL\.MASK_ON/],
  ['YAML that is none', () => withModel(file('bad.yaml', 'MODEL: [1\n'), weights), /bad\.yaml/],
  ['weights that are missing', () => withModel(config, at('none.pkl')), /none\.pkl.*(does not exist|cannot be read|no such file)/],
  ['empty weights', () => withModel(config, file('empty.pkl', '')), /empty\.pkl.*empty/],
  ['weights with NaN', () => withModel(config, file('nan.safetensors', withNan())), /nan\.safetensors: .*'roi_heads\.mask_head\.predictor\.bias'.*NaN/],
  ['a pickle that asks for a function', () => withModel(config, join(fixtures, 'checkpoint/forbidden.pkl')), /forbidden\.pkl: .*(posix|os|builtins)/],
  ['the weights of something else', () => withModel(config, join(fixtures, 'checkpoint/stored.pth')), /stored\.pth: looks like the weights of another architecture/],
  ['a key that is set without effect', () => predict(picture, '--config', file('warn.yaml', `_BASE_: ${config}\nVIS_PERIOD: 7\n`), '--weights', join(fixtures, 'checkpoint/stored.pth')), /warning: .*VIS_PERIOD/],
]; // prettier-ignore

describe('predicting on tiles and on several views', () => {
  const flags = ['--config', config, '--weights', weights, '--device', 'wasm', '--format', 'json', '--output', at('views')];
  it('says which options do not go together, or make no sense', async () => {
    const said = async (...more: string[]) => (await run('predict', picture, ...flags, ...more)).text;
    expect(await said('--overlap', '0.5')).toMatch(/--overlap goes with --tile/);
    expect(await said('--tile', '64', '--overlap', '2')).toMatch(/is not a number from 0 to 1/);
    expect(await said('--tta-sizes', '100')).toMatch(/--tta-sizes goes with --tta/);
    expect(await said('--tta', '--tta-sizes', '100,big')).toMatch(/--tta-sizes is '100,big'; expected short sides in pixels/);
  });
});

describe('bad input is named, in one line, with exit code 1', () => {
  it.each(cases)('%s', async (_, args, message) => {
    const { code, text } = await run(...args());
    expect(text).toMatch(message);
    expect(text).not.toMatch(/unexpected:| {4}at /);
    expect(code).toBe(1);
    expect(existsSync(at('out'))).toBe(false);
  });

  it('says where results cannot be written', async () => {
    const { code, text } = await run('convert', weights, join(file('plain', 'a file'), 'model.pkl'));
    expect(text).toMatch(/^error: .*plain\/model\.pkl cannot be written: a part of the path is a file/);
    expect(code).toBe(1);
  });

  it('goes on after a bad picture', async () => {
    mkdirSync(at('mixed'));
    cpSync(picture, at('mixed/b.png'));
    writeFileSync(at('mixed/a.png'), 'nonsense');
    const { code, text } = await run('predict', at('mixed'), '--device', 'wasm', '--output', at('mixed_out'));
    expect(text).toMatch(/mixed\/a\.png' is not an image[^]*1 of 2 pictures done on wasm, 1 failed/);
    expect(readdirSync(at('mixed_out'))).toEqual(['b.png']);
    expect(code).toBe(1);
  });
});

describe('weights cut short', () => {
  it.each(['safetensors', 'pkl'])('at 20 places of a .%s name the file', async (format) => {
    const whole = at(`whole.${format}`);
    await convertCheckpoint(weights, whole);
    const bytes = readFileSync(whole);
    const random = new Random(20);
    for (let i = 0; i < 20; i++) {
      const length = Math.floor(random.uniform(0, bytes.length - 1));
      const path = file(`cut.${format}`, bytes.subarray(0, length));
      const error = await readCheckpoint(path).then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error, `cut at ${length}`).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toContain(path);
    }
  });
});

describe('a full disk', () => {
  it('leaves neither half a file nor a temporary one, and keeps what was there', async () => {
    const { open } = await import('node:fs/promises');
    const probe = await open(file('probe', ''), 'r+');
    const handle = Object.getPrototypeOf(probe) as { writeFile: (...args: unknown[]) => Promise<void> };
    await probe.close();
    const target = at('full');
    mkdirSync(target);
    const out = join(target, 'model.safetensors');
    writeFileSync(out, 'the file of yesterday');
    let written = 0;
    const real = handle.writeFile;
    vi.spyOn(handle, 'writeFile').mockImplementation(function (this: unknown, ...args: unknown[]) {
      if (++written > 5)
        return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      return real.apply(this, args);
    });
    const { code, text } = await run('convert', weights, out);
    expect(code).toBe(1);
    expect(text).toMatch(/^error: .*model\.safetensors cannot be written: no space left on the disk/);
    expect(readdirSync(target)).toEqual(['model.safetensors']);
    expect(readFileSync(out, 'utf8')).toBe('the file of yesterday');
  });
});
