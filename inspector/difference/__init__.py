"""Step 5b: what changed between two artifacts, tensor by tensor and beside the tensors.

It works on what `pairing` found and on what the report says of each of the two, so that a report
saved earlier can stand for an artifact.
"""
