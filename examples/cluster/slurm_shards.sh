#!/usr/bin/env bash
# Evaluation in eight shares: sbatch slurm_shards.sh. A share that was cut off skips what is done when it runs again: sbatch --array=3 slurm_shards.sh
#SBATCH --job-name=maskrcnn-evaluate
#SBATCH --array=0-7
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
set -eu
data=$HOME/data
exec maskrcnn evaluate --model "$HOME/runs/first" --json-file "$data/val.json" --images "$data/val" \
  --device tensorflow --output "$HOME/runs/first/evaluation" --shard auto/8
