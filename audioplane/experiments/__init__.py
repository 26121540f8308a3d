"""The paper's tables as data: rows are changes of a config, runs are cached records, nothing is typed by hand."""
