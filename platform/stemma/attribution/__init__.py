"""Which recordings shaped an output: gradients of several checkpoints, compared exactly.

`features` takes gradients of training recordings and of an output, `scores` compares them, `shares`
turns scores into parts per billion, `store` keeps what a release needs to be asked, and `fidelity`
measures how much of it is true by training again without.  `docs/attribution.md` tells the method.
"""
