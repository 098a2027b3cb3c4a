import type { Config } from '../config/index.js';

/** Models whose losses are put together over processes. */
const DIVISIBLE = ['GeneralizedRCNN', 'ProposalNetwork', 'RetinaNet', 'PanopticFPN', 'SemanticSegmentor'];

/** Their heads on regions. */
const HEADS = ['StandardROIHeads', 'Res5ROIHeads', 'CascadeROIHeads'];

/**
 * What keeps a config from being trained in several processes, a sentence each; none for most.
 * @param model the one of that config: of parts of one's own, `isDivisible` says whether they do
 */
export function indivisibleSettings(
  { MODEL }: Config,
  { isDivisible = false }: { readonly isDivisible?: boolean } = {},
): string[] {
  const reasons: string[] = [];
  const { META_ARCHITECTURE: model, ROI_HEADS } = MODEL;
  // What else learns may have means of its own kind.
  const hasHeads = model === 'GeneralizedRCNN' || model === 'PanopticFPN';
  if (!isDivisible && !DIVISIBLE.includes(model))
    reasons.push(`MODEL.META_ARCHITECTURE is ${model}; ${list(DIVISIBLE)} do, and models of your own whose isDivisible is true.`);
  else if (!isDivisible && hasHeads && !HEADS.includes(ROI_HEADS.NAME))
    reasons.push(
      `MODEL.ROI_HEADS.NAME is ${ROI_HEADS.NAME}; ${list(HEADS)} do, and heads of your own whose isDivisible is true.`,
    );
  for (const key of synchronisedNorms({ MODEL }))
    if (key.startsWith('MODEL.ROI_') || (key === 'MODEL.RESNETS.NORM' && ROI_HEADS.NAME === 'Res5ROIHeads'))
      reasons.push(
        `${key} is SyncBN, on regions: a process whose pictures have none would not take part, and the others wait. BN takes the regions of each process's own, GN does not depend on the batch.`,
      );
  return reasons;
}

/** Keys of norms whose statistics are those of all processes' pictures. */
export function synchronisedNorms({ MODEL }: Pick<Config, 'MODEL'>): string[] {
  // Of two kinds of backbones the config describes one that is not there.
  const absent = MODEL.BACKBONE.NAME === 'build_regnet_fpn_backbone' ? 'MODEL.RESNETS.NORM' : 'MODEL.REGNETS.NORM';
  return Object.entries(normsOf(MODEL)).flatMap(([key, norm]) => (norm === 'SyncBN' && key !== absent ? [key] : []));
}

const list = (names: readonly string[]): string => `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** All norms of the config by key. */
function normsOf(section: object, prefix = 'MODEL'): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
      const path = `${prefix}.${key}`;
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(normsOf(value, path));
      return key === 'NORM' ? [[path, value] as const] : [];
    }),
  );
}
