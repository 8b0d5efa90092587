"""Training of the learned identifiers: data, degradation, losses and one plain loop."""
