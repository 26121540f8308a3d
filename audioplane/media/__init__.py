"""Films and sound: the reader and the writer."""
