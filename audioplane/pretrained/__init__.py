"""Networks that ship with their weights: training, examination, model card."""
