"""What the default policy says of every sample: tests/golden/audit-samples.txt, read by people."""

import os

import pytest

from inspector import api
from tests.builders import samples


def said(name):
    """Whether a sample passes, and what is found in it, a line each."""
    report = api.audit([samples.path(name)])
    lines = [f"{name}: {'fails' if report.audit.failed else 'passes'}"]
    for one in report.findings:
        message = one.message.replace(os.path.join(samples.SAMPLES, ""), "")
        lines.append(f"  {one.severity.value} {one.code}: {message}")
    return "\n".join(lines)


def test_every_sample_has_the_findings_that_were_read(golden):
    golden("audit-samples.txt", "\n".join([*map(said, samples.NAMES), ""]))


@pytest.mark.parametrize("name", [one for one in samples.NAMES if "stripped" in one])
def test_what_was_stripped_passes_without_an_error_or_a_warning(name):
    report = api.audit([samples.path(name)])
    assert not report.audit.failed
    assert (report.audit.errors, report.audit.warnings) == (0, 0)


@pytest.mark.parametrize("name", ["pruned.h5", "pruned.keras", "qat.h5", "clustered.h5"])
def test_what_was_not_stripped_fails(name):
    assert api.audit([samples.path(name)]).audit.failed
