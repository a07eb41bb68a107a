"""Files that lie, made by the thousand, and what no file may bring about."""
