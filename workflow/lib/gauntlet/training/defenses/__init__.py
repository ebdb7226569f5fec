"""Defenses, one plug-in file each: `training/defenses/<kind>.py` holds the function `<kind>`.

A defense gives the training loss of one batch: `(model, images, labels, *, generator, ...)` to a
scalar. It may name further arguments, which the training fills in:

- `attack`: a function of (images, labels) that gives adversarial images, made in eval mode;
- `inner`: an `Inner`, with gradients by the images, single steps, and the attack's eps and norm;
- `size`: the share of its full strength that the attack has by now (see `ramp`);
- `crafted`: the batch's part of the example files that the rule takes as input;
- `teacher`: a function of images that gives another model's logits;
- `memory`: a `Memory`, whose tensors stay from batch to batch, and in checkpoints.

With a setting `replays`, every batch is shown that many times, with an update each. The loss is a
mean over the images, and random numbers come from `generator` through `gauntlet.core.rng`:
processes that share a batch each give the loss of their part.
"""
