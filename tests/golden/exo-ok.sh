#!/bin/sh
exo dedicated-inference deployment create demo --gpu-type gpua5000 --gpu-count 1 --replicas 1 \
  --inference-engine-version 0.15.1 --inference-engine-params "--max-model-len=4096 --max-num-seqs 64"
