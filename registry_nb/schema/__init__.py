"""What a model's input and output look like: infer it, compare it, hold data against it."""
