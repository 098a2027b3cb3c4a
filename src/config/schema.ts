import { bool, float, floats, int, ints, nullableFloat, rows, string, strings, type Partially, type ValuesOf } from './field.js';
import { modelSchema } from './schema_model.js';

const BY_FILES = { ignored: 'data sets are given as files' };
const OUTPUT = { ignored: 'the output folder is given as an argument' };

/** Every key of Detectron2's configuration, with its default, type and meaning: the single source of all three. */
export const schema = {
  VERSION: int(2, 'Version of the configuration format; only 2 is read.'),
  MODEL: modelSchema,
  INPUT: {
    MIN_SIZE_TRAIN: ints([800], 'Training: short sides to draw from, in pixels.'),
    MIN_SIZE_TRAIN_SAMPLING: string('choice', 'Training: draw one of the sizes, or between the first two.', {
      choices: ['choice', 'range'],
    }),
    MAX_SIZE_TRAIN: int(1333, 'Training: the long side is at most this, in pixels.'),
    MIN_SIZE_TEST: int(800, 'Inference: short side after resizing, in pixels; 0 leaves the picture as it is.'),
    MAX_SIZE_TEST: int(1333, 'Inference: the long side is at most this, in pixels.'),
    RANDOM_FLIP: string('horizontal', 'Training: flip half of the pictures.', { choices: ['horizontal', 'vertical', 'none'] }),
    KEYPOINT_FLIP_PAIRS: rows(
      [],
      'Training: pairs of names of keypoints that change places in a mirrored picture, besides those with left and right in them; a name twice for one that stays.',
      { own: true },
    ),
    CROP: {
      ENABLED: bool(false, 'Training: crop at random.'),
      TYPE: string('relative_range', 'Training: how CROP.SIZE is meant.', {
        choices: ['relative_range', 'relative', 'absolute', 'absolute_range'],
      }),
      SIZE: floats([0.9, 0.9], 'Training: height and width of the crop, a share or pixels.'),
    },
    SCALE_JITTER: {
      ENABLED: bool(
        false,
        'Training: fit pictures into SIZE times a drawn scale, then crop or pad them to SIZE, in the place of CROP and MIN_SIZE_TRAIN.',
        { own: true },
      ),
      SIZE: ints([1024, 1024], 'Training: height and width of the result, in pixels.', { own: true }),
      SCALES: floats([0.1, 2], 'Training: between which the scale is drawn.', { own: true }),
    },
    FORMAT: string('BGR', 'Channel order that the network sees.', { choices: ['BGR', 'RGB', 'L'] }),
    MASK_FORMAT: string('polygon', 'Training: form of the ground truth masks.', { choices: ['polygon', 'bitmask'] }),
  },
  DATASETS: {
    TRAIN: strings([], "Names of Detectron2's training sets.", BY_FILES),
    PROPOSAL_FILES_TRAIN: strings([], 'Proposal files of those sets.', BY_FILES),
    PRECOMPUTED_PROPOSAL_TOPK_TRAIN: int(2000, 'Training: precomputed proposals kept an image.'),
    TEST: strings([], "Names of Detectron2's test sets.", BY_FILES),
    PROPOSAL_FILES_TEST: strings([], 'Proposal files of those sets.', BY_FILES),
    PRECOMPUTED_PROPOSAL_TOPK_TEST: int(1000, 'Inference: precomputed proposals kept an image.'),
  },
  DATALOADER: {
    NUM_WORKERS: int(
      4,
      'Training: threads that load and augment pictures ahead, at most one a core less one; 0 loads between the steps.',
    ),
    ASPECT_RATIO_GROUPING: bool(true, 'Training: upright and lying pictures go into different batches.'),
    SAMPLER_TRAIN: string('TrainingSampler', 'Training: order in which pictures are drawn.', {
      choices: ['TrainingSampler', 'RepeatFactorTrainingSampler', 'RandomSubsetTrainingSampler', 'WeightedTrainingSampler'],
    }),
    REPEAT_THRESHOLD: float(0, 'Training: classes in a smaller share of pictures are drawn more often.'),
    REPEAT_SQRT: bool(true, 'Training: take the square root of the repeat factor.'),
    FILTER_EMPTY_ANNOTATIONS: bool(true, 'Training: leave out pictures without instances.'),
  },
  SOLVER: {
    LR_SCHEDULER_NAME: string('WarmupMultiStepLR', 'Learning rate schedule.', {
      choices: ['WarmupMultiStepLR', 'WarmupCosineLR', 'WarmupStepWithFixedGammaLR'],
    }),
    OPTIMIZER: string('SGD', 'SGD with momentum, or AdamW.', { choices: ['SGD', 'ADAMW'], own: true }),
    MAX_ITER: int(40000, 'Training steps.'),
    BASE_LR: float(0.001, 'Learning rate after the warm-up.'),
    BASE_LR_END: float(0, 'Learning rate at the end of the cosine schedule.'),
    MOMENTUM: float(0.9, 'Momentum of SGD.'),
    NESTEROV: bool(false, "Nesterov's momentum."),
    WEIGHT_DECAY: float(0.0001, 'Weight decay.'),
    WEIGHT_DECAY_NORM: float(0, 'Weight decay of normalisation layers.'),
    GAMMA: float(0.1, 'Factor of the learning rate at each of STEPS.'),
    STEPS: ints([30000], 'Steps at which the learning rate falls.'),
    NUM_DECAYS: int(3, 'Falls in the WarmupStepWithFixedGammaLR schedule.'),
    WARMUP_FACTOR: float(0.001, 'Learning rate at the start as a share of BASE_LR.'),
    WARMUP_ITERS: int(1000, 'Steps of warm-up.'),
    WARMUP_METHOD: string('linear', 'Shape of the warm-up.', { choices: ['linear', 'constant'] }),
    RESCALE_INTERVAL: bool(false, 'Schedule counts from the end of the warm-up.'),
    CHECKPOINT_PERIOD: int(5000, 'Steps between checkpoints.'),
    KEEP_CHECKPOINTS: int(3, 'How many of the newest checkpoints are kept.', { own: true }),
    IMS_PER_BATCH: int(16, 'Pictures a step.'),
    REFERENCE_WORLD_SIZE: int(0, 'GPUs that the other numbers were chosen for; 0 scales nothing.'),
    BIAS_LR_FACTOR: float(1, 'Factor of the learning rate of biases.'),
    WEIGHT_DECAY_BIAS: nullableFloat(null, 'Weight decay of biases; null means WEIGHT_DECAY.'),
    CLIP_GRADIENTS: {
      ENABLED: bool(false, 'Clip gradients.'),
      CLIP_TYPE: string('value', 'Clip each value, the norm of each tensor, or the norm of all together.', {
        choices: ['value', 'norm', 'full_model'],
      }),
      CLIP_VALUE: float(1, 'The largest value or norm.'),
      NORM_TYPE: float(2, 'Which norm.'),
    },
    ACCUMULATE: int(1, 'Batches whose gradients are averaged for one step; IMS_PER_BATCH is the size of each.', { own: true }),
    EMA_DECAY: float(0, 'Decay of the moving average of the weights, such as 0.999, that is evaluated and kept; 0 for none.', {
      own: true,
    }),
    AMP: { ENABLED: bool(false, 'Training in half precision.', { ignored: 'everything is computed in float32' }) },
  },
  TEST: {
    EXPECTED_RESULTS: rows([], "Expected metrics of Detectron2's own checks: [task, metric, value, tolerance].", {
      ignored: "only Detectron2's own checks read it",
    }),
    EVAL_PERIOD: int(0, 'Training: steps between evaluations; 0 for one at the end.'),
    BEST_METRIC: string(
      '',
      'Training: the result that says which model is best, such as segm/AP50; empty for segm/AP or bbox/AP.',
      {
        own: true,
      },
    ),
    PATIENCE: int(0, 'Training: evaluations without a better result after which it ends; 0 for never.', { own: true }),
    VALIDATION_LOSS_IMAGES: int(0, 'Training: pictures whose losses are measured at every evaluation; 0 for none.', {
      own: true,
    }),
    KEYPOINT_OKS_SIGMAS: floats([], "Keypoint sigmas of the evaluation; empty for COCO's."),
    DETECTIONS_PER_IMAGE: int(100, 'Inference: most detections an image.'),
    SOFT_NMS: {
      METHOD: string(
        '',
        'Inference: how the scores of detections decay that overlap a better one of their class, in the place of their being dropped; empty for not.',
        { choices: ['', 'linear', 'gaussian'], own: true },
      ),
      SIGMA: float(0.5, 'Inference: width of the gaussian decay, exp(-IoU^2 / SIGMA).', { own: true }),
    },
    AUG: {
      ENABLED: bool(false, 'Inference on several sizes and flips.'),
      MIN_SIZES: ints([400, 500, 600, 700, 800, 900, 1000, 1100, 1200], 'Their short sides in pixels.'),
      MAX_SIZE: int(4000, 'Their longest side in pixels.'),
      FLIP: bool(true, 'Also flipped.'),
    },
    PRECISE_BN: {
      ENABLED: bool(
        false,
        'Training: before evaluating and at the end, give batch norms the statistics of the weights as they are.',
      ),
      NUM_ITER: int(200, 'Batches that it takes.'),
    },
  },
  OUTPUT_DIR: string('./output', 'Where training writes.', OUTPUT),
  SEED: int(-1, 'Seed of training; negative draws one.'),
  CUDNN_BENCHMARK: bool(false, "PyTorch's search for fast kernels.", { ignored: 'there is no cuDNN here' }),
  FLOAT32_PRECISION: string('', "PyTorch's float32 precision.", { ignored: 'everything is computed in float32' }),
  VIS_PERIOD: int(0, 'Training: steps between pictures in the log; 0 for none.', { ignored: 'training writes no pictures' }),
  GLOBAL: { HACK: float(1, "For experiments in Detectron2's own code.", { ignored: 'nothing reads it' }) },
};

/** A whole configuration: Detectron2's tree, plain values, freely changed. */
export type Config = ValuesOf<typeof schema>;

/** Some keys of a configuration, to be laid over another. */
export type PartialConfig = Partially<Config>;
