#!/usr/bin/env bash
# A training on four machines: sbatch slurm_train.sh. What is cut off by the time limit goes on by itself.
#SBATCH --job-name=maskrcnn
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR2@300
set -u
# mpirun reaches the machines by srun, which since Slurm 22.05 does not look at --cpus-per-task.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
data=$HOME/data
run=$HOME/runs/first

if [ -f "$run/last_checkpoint" ]; then
  what=(--resume)
else
  what=(--config COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x
    --train-json "$data/train.json" --train-images "$data/train"
    --val-json "$data/val.json" --val-images "$data/val"
    SOLVER.IMS_PER_BATCH=16 SOLVER.BASE_LR=0.02)
fi
mpirun --map-by ppr:1:node --bind-to none maskrcnn train --output "$run" --device tensorflow "${what[@]}" &
job=$!

# Slurm's USR2 comes 300 seconds before the limit; mpirun hands it on, and the training ends after its step with a checkpoint.
stopped=
trap 'stopped=yes; kill -USR2 "$job"' USR2
wait "$job"
code=$?
if [ -n "$stopped" ]; then
  # The signal ended the first wait.
  wait "$job"
  code=$?
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
