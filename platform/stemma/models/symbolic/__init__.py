"""The symbolic family: a decoder over the notes of scores, small enough to train on a processor.

`score`, `voices`, `tokens` and `captions` need no torch; `family` has the model.
"""
