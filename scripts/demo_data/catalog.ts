/** The drawings of one artist: an Iconify icon set, by its package's name. */
export interface Artist {
  readonly name: string;
  readonly set: 'noto' | 'noto-v1' | 'fluent-emoji' | 'fluent-emoji-flat' | 'fxemoji' | 'twemoji';
  readonly license: 'Apache-2.0' | 'MIT' | 'CC-BY-4.0';
}

/** Whose drawings the model learns from. */
export const TRAINING_ARTISTS: readonly Artist[] = [
  { name: 'Noto', set: 'noto', license: 'Apache-2.0' },
  { name: 'Noto (first version)', set: 'noto-v1', license: 'Apache-2.0' },
  { name: 'Fluent', set: 'fluent-emoji', license: 'MIT' },
  { name: 'Fluent flat', set: 'fluent-emoji-flat', license: 'MIT' },
  { name: 'Firefox OS', set: 'fxemoji', license: 'Apache-2.0' },
];

/** Whose drawings it never sees before it is judged on them. */
export const HELD_OUT_ARTIST: Artist = { name: 'Twemoji', set: 'twemoji', license: 'CC-BY-4.0' };

/** COCO's class names with the icons that show them; an artist who lacks an icon is skipped for it. */
export const CLASS_ICONS: Readonly<Record<string, readonly string[]>> = {
  person: [
    'person-standing',
    'person-walking',
    'woman-walking',
    'man-walking',
    'person-running',
    'man-standing',
    'woman-standing',
  ],
  bicycle: ['bicycle'],
  car: ['automobile', 'sport-utility-vehicle', 'taxi', 'oncoming-automobile', 'oncoming-taxi'],
  airplane: ['airplane', 'small-airplane'],
  bus: ['bus', 'oncoming-bus', 'trolleybus'],
  train: ['train', 'metro', 'high-speed-train', 'locomotive'],
  boat: ['sailboat', 'speedboat', 'motor-boat', 'ship'],
  'traffic light': ['vertical-traffic-light', 'horizontal-traffic-light'],
  bird: ['bird', 'eagle', 'duck', 'dove', 'penguin', 'rooster', 'parrot', 'owl'],
  cat: ['cat', 'cat-face', 'black-cat'],
  dog: ['dog', 'dog-face', 'poodle', 'guide-dog', 'service-dog'],
  horse: ['horse', 'horse-face'],
  elephant: ['elephant'],
  umbrella: ['umbrella', 'umbrella-on-ground'],
  banana: ['banana'],
  apple: ['red-apple', 'green-apple', 'greenapple'],
  orange: ['tangerine'],
  carrot: ['carrot'],
  pizza: ['pizza'],
  donut: ['doughnut'],
  cake: ['birthday-cake', 'shortcake'],
  clock: ['alarm-clock', 'mantelpiece-clock', 'three-oclock', 'ten-oclock'],
  scissors: ['scissors'],
  'teddy bear': ['teddy-bear'],
};

/** Things of no class, strewn in so that not everything that is drawn is an object. */
export const DISTRACTOR_ICONS: readonly string[] = [
  'red-heart',
  'star',
  'musical-note',
  'maple-leaf',
  'four-leaf-clover',
  'cloud',
  'high-voltage',
  'droplet',
  'key',
  'light-bulb',
  'hammer',
  'envelope',
  'wrapped-gift',
  'balloon',
  'crown',
  'gem-stone',
  'mushroom',
  'cactus',
  'sunflower',
  'fire',
];
