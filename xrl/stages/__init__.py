"""One module per DVC stage: read files, call the pure rooms, write files."""
