export X=1; vllm serve some/model --port 8000 \
  --max-num-seqs 'ma'"ny" --max-model-len "$LENGTH" --seed=x > log 2>&1
