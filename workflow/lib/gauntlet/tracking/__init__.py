"""What a training does while it runs, for programs that draw it: TensorBoard, W&B, MLflow.

Each tracker is one file here, found by name, with a function of the file's name that opens one run.
`base.listener` is what a training tells of its batches and epochs. Nothing of this room decides a
result: it is part of no specification and of no code hash.
"""
