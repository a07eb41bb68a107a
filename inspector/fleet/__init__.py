"""Many artifacts: what was found of each, kept as Parquet, and what is asked of it afterwards."""
