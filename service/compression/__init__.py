"""Response compression: zstd, br and gzip."""
