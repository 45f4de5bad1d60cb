"""What a deployment should do before it is paid for: memory, step time, scheduling; and the tables behind it."""
