"""One folder a method; the interface they share."""
