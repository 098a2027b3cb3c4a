/** A class of COCO: the category id of its annotation files, and its name. */
export interface CocoClass {
  id: number;
  name: string;
}

// COCO numbers its categories with gaps; the models number them 0..79 in this order.
const THINGS = `
1 person, 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat, 10 traffic light,
11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench, 16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow,
22 elephant, 23 bear, 24 zebra, 25 giraffe, 27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase, 34 frisbee,
35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, 40 baseball glove, 41 skateboard, 42 surfboard, 43 tennis racket, 44 bottle,
46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl, 52 banana, 53 apple, 54 sandwich, 55 orange,
56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, 61 cake, 62 chair, 63 couch, 64 potted plant, 65 bed,
67 dining table, 70 toilet, 72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard, 77 cell phone, 78 microwave, 79 oven,
80 toaster, 81 sink, 82 refrigerator, 84 book, 85 clock, 86 vase, 87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush`;

/** The 80 thing classes of COCO; the position is the class index of the published models. */
export const cocoClasses: readonly CocoClass[] = THINGS.split(',').map((entry) => {
  const [, id, name] = /^\s*(\d+) (.+)$/.exec(entry)!;
  return { id: Number(id), name };
});

/** Their names by class index. */
export const cocoClassNames: readonly string[] = cocoClasses.map(({ name }) => name);

const STUFF =
  'banner,blanket,bridge,cardboard,counter,curtain,door,floor-wood,flower,fruit,gravel,house,light,mirror,net,pillow,platform,playingfield,' +
  'railroad,river,road,roof,sand,sea,shelf,snow,stairs,tent,towel,wall-brick,wall-stone,wall-tile,wall-wood,water,window-blind,window,tree,fence,' +
  'ceiling,sky,cabinet,table,floor,pavement,mountain,grass,dirt,paper,food,building,rock,wall,rug';

/** The semantic classes of Detectron2's COCO panoptic models, in their order: everything that is counted, then the stuff of COCO panoptic. */
export const cocoStuffClassNames: readonly string[] = ['things', ...STUFF.split(',')];
