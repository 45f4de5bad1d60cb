"""What a cell should do: memory, step time, scheduling; the GPU and model tables behind it."""
