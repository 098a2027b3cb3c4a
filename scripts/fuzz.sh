#!/usr/bin/env bash
# Runs every property test with new seeds until one fails or the count is reached: npm run fuzz -- 20. FUZZ_SEED=n repeats one.
set -eu
cd "$(dirname "$0")/.."
mapfile -t files < <(grep -rl "properties.js'" tests --include='*.test.ts')
for ((i = 0; i < ${1:-1}; i++)); do
  seed=${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM))}
  echo "seed $seed"
  FUZZ_SEED=$seed npx vitest run "${files[@]}" --reporter=dot
done
