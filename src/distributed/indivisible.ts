import type { Config } from '../config/index.js';

/** Models whose losses are put together over processes. */
const DIVISIBLE = ['GeneralizedRCNN', 'ProposalNetwork'];

/** Their heads. */
const HEADS = ['StandardROIHeads', 'Res5ROIHeads'];

/** What keeps a config from being trained in several processes with the numbers of one, a sentence each; none for most. */
export function indivisibleSettings({ MODEL }: Config): string[] {
  const reasons: string[] = [];
  if (!DIVISIBLE.includes(MODEL.META_ARCHITECTURE))
    reasons.push(`MODEL.META_ARCHITECTURE is ${MODEL.META_ARCHITECTURE}; ${DIVISIBLE.join(' and ')} do.`);
  // What else learns, such as a cascade or keypoints, has means of its own kind.
  else if (MODEL.META_ARCHITECTURE === 'GeneralizedRCNN' && (!HEADS.includes(MODEL.ROI_HEADS.NAME) || MODEL.KEYPOINT_ON))
    reasons.push(
      `MODEL.ROI_HEADS.NAME is ${MODEL.ROI_HEADS.NAME} and MODEL.KEYPOINT_ON ${MODEL.KEYPOINT_ON}; ${HEADS.join(' and ')} without keypoints do.`,
    );
  for (const [key, norm] of Object.entries(normsOf(MODEL)))
    if (norm === 'BN' || norm === 'SyncBN')
      reasons.push(
        `${key} is ${norm}, whose statistics would be those of each process's own pictures; GN and FrozenBN do not depend on the batch.`,
      );
  return reasons;
}

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
