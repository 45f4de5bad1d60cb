vllm serve some/model --port 8000 --max-model-len "$LENGTH" \
  --max-num-seqs 64 >log 2>&1 &
