"""Where a model run fails, whether another is better, and what people changed in its predictions.

Everything here works on matches (`prelabel.metrics`), so that a threshold may change without looking at geometry again.
"""
