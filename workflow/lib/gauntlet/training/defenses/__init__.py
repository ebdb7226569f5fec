"""Defenses, one plug-in file each: `gauntlet/defenses/<kind>.py` holds the function `<kind>`.

A defense gives the training loss of one batch: `(model, images, labels, *, generator, ...)` to a
scalar. It may name two more arguments that the training hands it: `attack`, called with
(images, labels) and giving adversarial images made in eval mode, and `crafted`, the batch's
slice of the example files that the defense's rule takes as input. The loss is a mean over the
images, and random numbers come from `generator` through `gauntlet.core.rng`: processes that share
a batch each give the loss of their part.
"""
