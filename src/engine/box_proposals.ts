import type { Config } from '../config/schema.js';

/** What region proposals are called: they have no class. */
export const PROPOSAL_NAMES: readonly string[] = ['object'];

/** The category of their rows in COCO's results format, which has no rows without one. */
export const PROPOSAL_CATEGORY = 1;

/** Whether what a model finds are regions of no class, to be judged by recall alone. */
export function findsProposals({ MODEL }: Pick<Config, 'MODEL'>): boolean {
  return MODEL.META_ARCHITECTURE === 'ProposalNetwork';
}
