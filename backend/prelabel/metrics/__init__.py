"""How good predictions are against annotations: matches, counts, averages, intervals."""
