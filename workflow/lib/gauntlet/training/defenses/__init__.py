"""Defenses, one plug-in file each: `training/defenses/<kind>.py` holds the function `<kind>`.

A defense gives the training loss of one batch: `(model, images, labels, *, generator, ...)` to a
scalar. It may name three more arguments, which the training fills in: `attack`, a function
of (images, labels) that gives adversarial images, made in eval mode; `crafted`, the batch's part of
the example files that the rule takes as input; and `size`, the share of its full strength that the
attack has by now (see `ramp`). The loss is a mean over the
images, and random numbers come from `generator` through `gauntlet.core.rng`: processes that share
a batch each give the loss of their part.
"""
