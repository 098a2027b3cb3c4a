import type { Command } from 'commander';
import { ArgumentError } from '../errors.js';

interface ConvertFlags {
  config?: string;
  reinitialise?: string[];
  half?: boolean;
  classNames?: string;
  json?: boolean;
}

/** `maskrcnn convert`: any weight file that we read to .safetensors, or to a .pkl that Detectron2 loads. */
export function register(program: Command): void {
  program
    .command('convert')
    .description(
      'convert weights (.pkl, .pth, .h5, .safetensors) to .safetensors, or to a .pkl that Detectron2 loads, and print what became of them',
    )
    .argument('<in>', "Detectron2 or Caffe2 .pkl, PyTorch .pth, .safetensors, or Keras' .h5")
    .argument('<out>', 'a path that ends in .safetensors or .pkl')
    .option(
      '--config <file>',
      "Detectron2's YAML or a model-zoo name: the weights have to fit this model, and only its tensors are written",
    )
    .option(
      '--reinitialise <prefix...>',
      'with --config: parts of the model that the file may lack, such as roi_heads.box_predictor',
    )
    .option('--half', 'write floats as float16 (.safetensors only): half the size')
    .option(
      '--class-names <list|file>',
      'names of the classes, stored in the file: with commas between, or a text, JSON or COCO file',
    )
    .option('--json', 'print the report as JSON')
    .action(async (input: string, output: string, flags: ConvertFlags) => {
      if (flags.reinitialise && flags.config === undefined)
        throw new ArgumentError('--reinitialise names parts of a model: give its --config too.');
      const { convertCheckpoint } = await import('../checkpoint/convert.js');
      const { formatConversionReport } = await import('../checkpoint/report.js');
      const parameters = flags.config === undefined ? undefined : await parametersOf(flags.config);
      const classNames =
        flags.classNames === undefined ? undefined : (await import('./class_names.js')).parseClassNames(flags.classNames);
      const report = await convertCheckpoint(input, output, {
        half: flags.half,
        parameters,
        reinitialise: flags.reinitialise,
        classNames,
      });
      console.log(flags.json ? JSON.stringify(report, undefined, 2) : formatConversionReport(report));
    });
}

/** Names and shapes of the model that a config describes, in Detectron2's layout. */
async function parametersOf(config: string): Promise<{ name: string; shape: number[] }[]> {
  const [{ getConfig }, { buildModel }, tf] = await Promise.all([
    import('../config/index.js'),
    import('../meta_arch/build_model.js'),
    import('@tensorflow/tfjs-core'),
    import('@tensorflow/tfjs-backend-cpu'),
  ]);
  // Without this the library advises tfjs-node, which a conversion does not need.
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
  const model = buildModel(getConfig(config));
  try {
    return model.modelParameters().map(({ name, shape }) => ({ name, shape }));
  } finally {
    model.dispose();
  }
}
