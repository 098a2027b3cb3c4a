import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, describe as suite, expect, it, vi } from 'vitest';
import { register } from '../../src/cli/info.js';
import { describe } from '../../src/cli/info_reports.js';

afterEach(() => vi.restoreAllMocks());

async function run(...args: string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const program = new Command();
  register(program);
  await program.parseAsync(['info', ...args], { from: 'user' });
  return write.mock.calls.map(([chunk]) => String(chunk)).join('');
}

suite('maskrcnn info', () => {
  it('lists the zoo, and which models run', async () => {
    const { models, backbones } = JSON.parse(await run('zoo', '--json')) as {
      models: { name: string; supported: boolean; maskAp?: number }[];
      backbones: { name: string }[];
    };
    expect(models).toHaveLength(64);
    expect(backbones.map(({ name }) => name)).toContain('ImageNetPretrained/MSRA/R-50');
    expect(models.find(({ name }) => name === 'COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x')).toMatchObject({
      supported: true,
      maskAp: 38.6,
    });
    vi.restoreAllMocks();
    expect(await run('zoo')).toMatch(/mask_rcnn_R_50_FPN_3x +box AP 41\.0, mask AP 37\.2 .*yes/);
  });

  it('shows a configuration with overrides', async () => {
    const text = await run('COCO-Detection/faster_rcnn_R_50_FPN_3x', 'MODEL.ROI_HEADS.NUM_CLASSES=3');
    expect(text).toMatch(
      /^# COCO-Detection\/faster_rcnn_R_50_FPN_3x: box AP 40\.2; CC-BY-SA-3\.0\n# https:.*\n# This model runs here\./,
    );
    expect(text).toContain('    NUM_CLASSES: 3\n');
  });

  it('explains keys', async () => {
    expect(await run('MODEL.FPN.FUSE_TYPE')).toBe(
      'MODEL.FPN.FUSE_TYPE (string, default "sum")\n    How a level joins the upsampled coarser one.\n    one of "sum", "avg"\n',
    );
  });

  it('shows a weight file', async () => {
    const file = fileURLToPath(new URL('../fixtures/checkpoint/stored.pth', import.meta.url));
    const { format, tensors } = JSON.parse(await run(file, '--json')) as {
      format: string;
      tensors: { name: string; shape: number[] }[];
    };
    expect(format).toBe('pth');
    expect(tensors.length).toBeGreaterThan(0);
  });

  it('tells which devices work', async () => {
    const devices = JSON.parse(await run('backends', '--json')) as { device: string; works: boolean; description: string }[];
    expect(devices.find(({ device }) => device === 'cpu')?.works).toBe(true);
    expect(devices.every(({ description }) => description.length > 0)).toBe(true);
  });

  it('says what it knows where it does not know something', async () => {
    await expect(describe('mask_rcn')).rejects.toThrow(
      /is no file, no key such as MODEL\.RPN, and no published model; did you mean/,
    );
    await expect(describe('MODEL.RPM')).rejects.toThrow(/unknown key MODEL\.RPM; did you mean/);
    await expect(describe(fileURLToPath(new URL('.', import.meta.url)))).rejects.toThrow(/is a folder: name the weight file/);
    await expect(describe('zoo', ['A=1'])).rejects.toThrow(/goes with a configuration only/);
  });
});
