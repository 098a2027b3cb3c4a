import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ConversionReport } from '../../src/checkpoint/convert.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { register } from '../../src/cli/convert.js';

const weights = fileURLToPath(new URL('../fixtures/checkpoint/stored.pth', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'convert-cli-'));

afterEach(() => vi.restoreAllMocks());

async function run(...args: string[]): Promise<string> {
  const log = vi.spyOn(console, 'log').mockReturnValue(undefined);
  const program = new Command();
  register(program);
  await program.parseAsync(['convert', ...args], { from: 'user' });
  return log.mock.calls.map(([text]) => String(text)).join('\n');
}

describe('maskrcnn convert', () => {
  it('converts and prints a table, or JSON', async () => {
    const out = join(folder, 'a.safetensors');
    const table = await run(weights, out, '--half');
    expect(table).toMatch(
      /^read +1\.5 kB +.*stored\.pth \(PyTorch \.pth\)\nwritten .*\(safetensors\)\ntensors +7 +65 elements; /,
    );
    expect(table).toMatch(/left out +1 +optimizer$/);
    expect((await readSafetensors(out)).tensors.get('t.plain')!.dtype).toBe('F16');
    vi.restoreAllMocks();
    const report = JSON.parse(await run(weights, join(folder, 'a.pkl'), '--json')) as ConversionReport;
    expect(report).toMatchObject({
      format: 'pth',
      outputFormat: 'detectron2-pkl',
      tensors: 7,
      elements: 65,
      ignored: ['optimizer'],
    });
  });

  it('with a configuration, refuses the weights of another architecture', async () => {
    const config = join(folder, 'small.yaml');
    writeFileSync(
      config,
      'MODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\n  MASK_ON: true\n  BACKBONE:\n    NAME: build_resnet_fpn_backbone\n' +
        '  RESNETS:\n    OUT_FEATURES: [res2, res3, res4, res5]\n    STEM_OUT_CHANNELS: 4\n    RES2_OUT_CHANNELS: 8\n    WIDTH_PER_GROUP: 4\n' +
        '  FPN:\n    IN_FEATURES: [res2, res3, res4, res5]\n    OUT_CHANNELS: 8\n' +
        '  RPN:\n    IN_FEATURES: [p2, p3, p4, p5, p6]\n  ANCHOR_GENERATOR:\n    SIZES: [[32], [64], [128], [256], [512]]\n' +
        '  ROI_HEADS:\n    NAME: StandardROIHeads\n    IN_FEATURES: [p2, p3, p4, p5]\n' +
        '  ROI_BOX_HEAD:\n    NAME: FastRCNNConvFCHead\n    NUM_FC: 1\n    FC_DIM: 8\n  ROI_MASK_HEAD:\n    NAME: MaskRCNNConvUpsampleHead\n    NUM_CONV: 1\n    CONV_DIM: 8\n',
    );
    await expect(run(weights, join(folder, 'b.pkl'), '--config', config)).rejects.toThrow(
      /stored\.pth: looks like the weights of another architecture/,
    );
    await expect(run(weights, join(folder, 'b.pkl'), '--reinitialise', 'roi_heads')).rejects.toThrow(/give its --config too/);
  });
});
