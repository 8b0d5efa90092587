"""The learned method: signal → log-mel or waveform → encoder → vectors → nearest neighbours.

Nothing here is imported at start-up: modules that need torch have it at their top and are
themselves imported inside the functions that run a model.
"""
