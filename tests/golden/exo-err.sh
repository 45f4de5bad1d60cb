#!/bin/sh
exo dedicated-inference deployment create demo --gpu-type gpua5000 --gpu-count 1 --replicas 1 \
  --inference-engine-version 0.15.1 --inference-engine-params "--gpu-memory-usage=0.8 --max-num-seqs many" # c
