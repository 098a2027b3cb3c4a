import { constants } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { World } from '../distributed/world.js';
import type { TrainingRun, TrainingRunOptions } from '../engine/training_run.js';
import type { TrainOutcome } from '../engine/trainer.js';
import { panopticFiles } from './panoptic_files.js';

interface TrainFlags {
  config?: string;
  weights?: string;
  trainJson?: string;
  trainImages?: string;
  trainSemantic?: string;
  valJson?: string;
  valImages?: string;
  valSemantic?: string;
  valPanopticJson?: string;
  valPanopticImages?: string;
  output: string;
  resume?: boolean;
  device?: string;
  epochs?: number;
  auto?: boolean;
  sanity?: boolean;
  offline?: boolean;
  rankTimeout: number;
  overlap?: boolean;
  json?: boolean;
}

/** `maskrcnn train`: trains on COCO files. */
export function register(program: Command): void {
  program
    .command('train')
    .description('train on your own data in COCO format')
    .argument('[KEY=VALUE...]', 'config keys to set, such as SOLVER.BASE_LR=0.0025')
    .option('--config <name|file>', "a model of the zoo, or a Detectron2 config; with --resume the run's own unless given")
    .option(
      '--weights <file|name|none>',
      "weights to start from: any format that convert reads; default the config's MODEL.WEIGHTS",
    )
    .option('--train-json <file>', 'COCO annotations to train on')
    .option('--train-images <folder>', 'their pictures')
    .option(
      '--train-semantic <folder>',
      'for panoptic and semantic models: a PNG for each picture with the class of each pixel, 255 ignored',
    )
    .option('--val-json <file>', 'COCO annotations to evaluate on')
    .option('--val-images <folder>', 'their pictures')
    .option('--val-semantic <folder>', 'for panoptic and semantic models: the semantic maps of the pictures to evaluate on')
    .option('--val-panoptic-json <file>', 'for panoptic models: COCO panoptic annotations of the pictures to evaluate on')
    .option('--val-panoptic-images <folder>', "their PNGs (default: the file's name without .json)")
    .requiredOption('--output <folder>', 'where everything is written')
    .option('--resume', 'go on from the newest checkpoint in --output')
    .option('--device <name>', "auto, tensorflow, webgpu, wasm or cpu (default: auto; with --resume the run's own)")
    .option(
      '--epochs <number>',
      'passes over the pictures, in place of SOLVER.MAX_ITER; the schedule is scaled with it',
      positive,
    )
    .option('--auto', 'choose batch, rate, length, sizes and more from the data, say why, and write config.yaml; keys given stay')
    .option('--sanity', 'only try whether four pictures can be learnt by heart, in --output/sanity; exit code 1 if not')
    .option(
      '--rank-timeout <seconds>',
      'under mpirun: how long the other processes wait for one before all end because it hangs',
      positive,
      600,
    )
    .option(
      '--overlap',
      'under mpirun: sum gradients while others are still computed; the default where the processes are on several machines',
    )
    .option('--no-overlap', 'sum gradients once all are computed')
    .option('--offline', 'never go to the network')
    .option('--json', 'print the log and the outcome as JSON lines')
    .action(async (overrides: string[], flags: TrainFlags) => {
      process.exitCode = await train(overrides, flags);
    });
}

async function train(overrides: readonly string[], flags: TrainFlags): Promise<number> {
  const { mpiLaunch } = await import('../distributed/launch.js');
  const launch = mpiLaunch();
  if (launch === undefined || launch.size === 1) return trainHere(overrides, flags);
  // Only now: nothing of MPI is touched by a process that stands alone.
  const { World } = await import('../distributed/world.js');
  const world = await World.join(launch, (line) => process.stderr.write(`${line}\n`), flags.rankTimeout);
  try {
    const code = await trainHere(overrides, flags, world);
    await world.leave();
    return code;
  } catch (error) {
    await world.fail(error);
    if (error instanceof Error) error.message = `rank ${launch.rank} of ${launch.size}: ${error.message}`;
    throw error;
  }
}

/** @param world the processes that this one trains with */
async function trainHere(overrides: readonly string[], flags: TrainFlags, world?: World): Promise<number> {
  const options = await runOptions(overrides, flags, world);
  if (flags.sanity) return sanity(options, flags);
  const isFirst = world?.isFirst ?? true;
  const [{ prepareTraining }, { writeRunArguments }] = await Promise.all([
    import('../engine/training_run.js'),
    import('../engine/run_arguments.js'),
  ]);
  const signals = new StopOnSignals((line) => isFirst && process.stderr.write(`${line}\n`));
  try {
    const run = await prepareTraining(options);
    signals.hold(run.trainer);
    try {
      const { train, validation } = options;
      if (!options.resume && isFirst)
        await writeRunArguments(options.output, { train, ...(validation ? { validation } : {}), device: run.device });
      const outcome = await run.train();
      if (isFirst) report(run, outcome, flags);
      return outcome.finished ? 0 : signals.exitCode;
    } finally {
      await run.dispose();
    }
  } finally {
    signals.remove();
  }
}

async function sanity(options: TrainingRunOptions, { json }: TrainFlags): Promise<number> {
  const { sanityRun } = await import('../engine/sanity_run.js');
  const result = await sanityRun(options);
  if (json) printJson(result);
  else if (result.passed)
    process.stdout.write(
      `sanity: ok, AP ${result.best.toFixed(1)} on the pictures learnt, after ${result.iterations} iterations\n`,
    );
  else
    process.stdout.write(
      `sanity: FAILED: AP ${result.best.toFixed(1)} on the pictures learnt after ${result.iterations} iterations. Look at ${result.folder}/report.html: ` +
        'losses that fall with AP near 0 mean wrong annotations or classes; losses that stay mean a wrong rate, frozen parts or weights that do not fit.\n',
    );
  return result.passed ? 0 : 1;
}

async function runOptions(overrides: readonly string[], flags: TrainFlags, world?: World): Promise<TrainingRunOptions> {
  const [{ ArgumentError }, { resolveConfig }, { readRunArguments }, { explicitKeys, keysOf }] = await Promise.all([
    import('../errors.js'),
    import('../config/get_config.js'),
    import('../engine/run_arguments.js'),
    import('./explicit_keys.js'),
  ]);
  // With --json, lines for people go to the other stream: a head that starts afresh must not pass unseen.
  const isFirst = world?.isFirst ?? true;
  const print = (line: string) => {
    if (isFirst) (flags.json ? process.stderr : process.stdout).write(`${line}\n`);
  };
  if (world && flags.sanity) throw new ArgumentError('--sanity runs in one process; leave mpirun out.');
  if (flags.epochs !== undefined && flags.resume)
    throw new ArgumentError("--epochs is for a run's start; SOLVER.MAX_ITER=N sets another end for one that is resumed.");
  if (flags.epochs !== undefined && keysOf(overrides).includes('SOLVER.MAX_ITER'))
    throw new ArgumentError('--epochs and SOLVER.MAX_ITER both say how long the run is; leave one out.');
  const earlier = flags.resume ? await readRunArguments(flags.output) : undefined;
  const trainJson = flags.trainJson ?? earlier?.train.json;
  const trainImages = flags.trainImages ?? earlier?.train.images;
  const trainSemantic = flags.trainSemantic ?? earlier?.train.semantic;
  if (trainJson === undefined || trainImages === undefined)
    throw new ArgumentError('--train-json and --train-images say what to train on; both are needed.');
  const valJson = flags.valJson ?? earlier?.validation?.json;
  const valImages = flags.valImages ?? earlier?.validation?.images;
  const valSemantic = flags.valSemantic ?? earlier?.validation?.semantic;
  const valPanoptic = panopticFiles(flags.valPanopticJson, flags.valPanopticImages) ?? earlier?.validation?.panoptic;
  const valPixels = { ...(valSemantic ? { semantic: valSemantic } : {}), ...(valPanoptic ? { panoptic: valPanoptic } : {}) };
  if (valJson === undefined && Object.keys(valPixels).length > 0)
    throw new ArgumentError('--val-semantic and --val-panoptic-json go with --val-json and --val-images.');
  if ((valJson === undefined) !== (valImages === undefined)) throw new ArgumentError('--val-json and --val-images go together.');
  const source = flags.config ?? (flags.resume ? join(flags.output, 'config.yaml') : undefined);
  if (source === undefined) throw new ArgumentError("--config names the model; 'maskrcnn info zoo' lists those of the zoo.");
  const { config, warnings } = resolveConfig(source, overrides);
  for (const warning of warnings) print(`WARNING: ${warning}`);
  const files = {
    train: { json: trainJson, images: trainImages, ...(trainSemantic === undefined ? {} : { semantic: trainSemantic }) },
    ...(valJson !== undefined && valImages !== undefined
      ? { validation: { json: valJson, images: valImages, ...valPixels } }
      : {}),
  };
  return {
    ...files,
    config,
    output: flags.output,
    resume: flags.resume ?? false,
    device: (flags.device ?? earlier?.device ?? 'auto') as 'auto',
    print,
    ...(world ? { processes: world.communicator, overlap: flags.overlap ?? world.spansMachines } : {}),
    ...(flags.weights === undefined ? {} : { weights: flags.weights }),
    ...(flags.epochs === undefined ? {} : { epochs: flags.epochs }),
    ...(flags.auto ? { auto: { explicit: await explicitKeys(overrides, flags.config, flags.epochs !== undefined) } } : {}),
    ...(flags.offline ? { offline: true } : {}),
    ...(flags.json && isFirst ? { writers: [{ write: (iteration, scalars) => printJson({ ...scalars, iteration }) }] } : {}),
  };
}

function report({ trainer, about }: TrainingRun, outcome: TrainOutcome, { output, json }: TrainFlags): void {
  const { iterations } = trainer.options;
  if (json) return printJson({ ...outcome, iteration: trainer.iteration, iterations, classes: about.classNames, output });
  if (outcome.finished)
    process.stdout.write(`done: ${iterations} iterations. Try it: maskrcnn predict PICTURE --model ${output}\n`);
  else
    process.stdout.write(
      `stopped after ${trainer.iteration} of ${iterations} iterations: ${outcome.reason}. Go on with: maskrcnn train --output ${output} --resume\n`,
    );
}

/** The first signal ends the run after its step, with a checkpoint; the second ends the process. */
class StopOnSignals {
  // mpirun kills on the first two, soon; the third it hands on, and Slurm sends what it is asked to before the time is over.
  private static readonly NAMES = ['SIGINT', 'SIGTERM', 'SIGUSR2'] as const;
  private signal: NodeJS.Signals | undefined;
  private trainer: Pick<TrainingRun['trainer'], 'stop'> | undefined;

  constructor(private readonly print: (line: string) => unknown) {
    for (const name of StopOnSignals.NAMES) process.on(name, this.onSignal);
  }

  /** What to stop; at once where a signal came while the run was being prepared. */
  hold(trainer: Pick<TrainingRun['trainer'], 'stop'>): void {
    this.trainer = trainer;
    if (this.signal !== undefined) trainer.stop(this.signal);
  }

  /** 0 where no signal came. */
  get exitCode(): number {
    if (this.signal === undefined) return 0;
    return 128 + constants.signals[this.signal];
  }

  remove(): void {
    for (const name of StopOnSignals.NAMES) process.off(name, this.onSignal);
  }

  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (this.signal !== undefined) process.exit(this.exitCode);
    this.signal = signal;
    this.print(`${signal}: ending after this iteration with a checkpoint; once more ends at once`);
    this.trainer?.stop(signal);
  };
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError(`"${text}" is not a number above 0.`);
  return value;
}
